package remoting

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what RocketMQ's ACL speaks
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
)

// Client asks servers. Its zero value asks without credentials. It holds no
// connection and may be used concurrently.
type Client struct {
	// AccessKey and SecretKey sign each request, if they are not empty.
	AccessKey, SecretKey string
}

// RefusedError is a server's answer that it will not do what it was asked.
type RefusedError struct {
	Addr   string
	Code   int
	Remark string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s answered with code %d: %s", e.Addr, e.Code, e.Remark)
}

// call sends one request to addr and returns its answer, unless it is a refusal
// other than the codes that are accepted.
func (c Client) call(ctx context.Context, addr string, code int, fields map[string]string, accepted ...int) (_ *command, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A context that ends cuts the connection, and so what waits for it.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%s does not answer: %w", addr, ctx.Err())
		}
	}()
	if fields == nil {
		fields = map[string]string{}
	}
	req := &command{Code: code, Language: "GO", Version: version, Opaque: 1, Fields: fields}
	c.sign(req)
	if err := req.write(conn); err != nil {
		return nil, err
	}
	for {
		resp, err := read(conn)
		if err != nil {
			return nil, err
		}
		const response = 1
		if resp.Flag&response == 0 || resp.Opaque != req.Opaque {
			continue // a request of the server's own
		}
		if resp.Code != codeSuccess && !slices.Contains(accepted, resp.Code) {
			return nil, &RefusedError{addr, resp.Code, resp.Remark}
		}
		return resp, nil
	}
}

// sign adds the signature of RocketMQ's ACL: over the values of all fields in
// the order of their names, and the body.
func (c Client) sign(req *command) {
	if c.AccessKey == "" {
		return
	}
	req.Fields["AccessKey"] = c.AccessKey
	mac := hmac.New(sha1.New, []byte(c.SecretKey))
	for _, name := range slices.Sorted(maps.Keys(req.Fields)) {
		mac.Write([]byte(req.Fields[name]))
	}
	mac.Write(req.body)
	req.Fields["Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Refused says with which code err is a server's refusal.
func Refused(err error) (code int, ok bool) {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Code, true
	}
	return 0, false
}
