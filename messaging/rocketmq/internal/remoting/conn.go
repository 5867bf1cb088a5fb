package remoting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// writeTimeout bounds the writing of one command.
const writeTimeout = 3 * time.Second

// The bits of a command's flag.
const (
	flagResponse = 1
	flagOneway   = 2
)

// Conn is a connection to a broker that stays, for a producer that is asked
// about half messages. Its methods may be called concurrently.
type Conn struct {
	client Client
	addr   string
	conn   net.Conn

	mu      sync.Mutex // held while writing
	opaque  int32
	pending map[int32]chan *command // guarded by mu
	closed  bool
}

// Check is a broker's question about a half message.
type Check struct {
	// Offset and Position are where the half message is.
	Offset, Position int64
	// MessageID and TransactionID are the client's ids of it.
	MessageID, TransactionID string
	// Message is the half message as the broker stores it, for
	// primitive.DecodeMessage.
	Message []byte
}

// Outcome is what a broker is told about a half message.
type Outcome int

// The outcomes.
const (
	Unknown  Outcome = 0
	Commit   Outcome = 2 << 2
	Rollback Outcome = 3 << 2
)

// Dial connects to a broker.
func (c Client) Dial(ctx context.Context, addr string) (*Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{client: c, addr: addr, conn: conn, pending: map[int32]chan *command{}}, nil
}

// Addr is the broker's address, as it was dialled.
func (c *Conn) Addr() string { return c.addr }

// Close ends Serve and whatever waits.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	for _, answer := range c.pending {
		close(answer)
	}
	return c.conn.Close()
}

// Serve reads what the broker sends until the connection ends, and calls f for
// each of its questions about half messages, one after another.
func (c *Conn) Serve(f func(Check)) error {
	for {
		cmd, err := read(c.conn)
		if err != nil {
			return err
		}
		switch {
		case cmd.Flag&flagResponse != 0:
			c.mu.Lock()
			if answer := c.pending[cmd.Opaque]; answer != nil && !c.closed {
				delete(c.pending, cmd.Opaque)
				answer <- cmd
			}
			c.mu.Unlock()
		case cmd.Code == codeCheckHalf:
			f(checkOf(cmd))
		}
	}
}

func checkOf(cmd *command) Check {
	// A field that is no number is that of a broker that cannot be answered.
	offset, _ := strconv.ParseInt(cmd.Fields["tranStateTableOffset"], 10, 64)
	position, _ := strconv.ParseInt(cmd.Fields["commitLogOffset"], 10, 64)
	return Check{
		Offset: offset, Position: position, Message: cmd.body,
		MessageID: cmd.Fields["msgId"], TransactionID: cmd.Fields["transactionId"],
	}
}

// Heartbeat tells the broker that a member of a producers' group is here, which
// it forgets after two minutes, and waits for its answer. Serve must be running.
func (c *Conn) Heartbeat(ctx context.Context, clientID, group string) error {
	body, err := json.Marshal(map[string]any{
		"clientID": clientID, "producerDataSet": []map[string]string{{"groupName": group}}, "consumerDataSet": []string{},
	})
	if err != nil {
		return err
	}
	answer := make(chan *command, 1)
	opaque, err := c.send(codeHeartbeat, 0, map[string]string{}, body, answer)
	if err != nil {
		return err
	}
	select {
	case resp, ok := <-answer:
		switch {
		case !ok:
			return net.ErrClosed
		case resp.Code != codeSuccess:
			return &RefusedError{c.addr, resp.Code, resp.Remark}
		}
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, opaque)
		c.mu.Unlock()
		return fmt.Errorf("%s does not answer: %w", c.addr, ctx.Err())
	}
}

// EndTransaction tells the broker the outcome of a half message. There is no
// answer: the broker asks if it did not get to know.
func (c *Conn) EndTransaction(group string, check Check, asked bool, o Outcome) error {
	_, err := c.send(codeEndTransaction, flagOneway, map[string]string{
		"producerGroup": group, "tranStateTableOffset": strconv.FormatInt(check.Offset, 10), "commitLogOffset": strconv.FormatInt(check.Position, 10),
		"commitOrRollback": strconv.Itoa(int(o)), "fromTransactionCheck": strconv.FormatBool(asked),
		"msgId": check.MessageID, "transactionId": check.TransactionID,
	}, nil, nil)
	return err
}

// send writes a request, and has its answer sent to a channel unless that is
// nil. A write that fails ends the connection, for it may have been half of one.
func (c *Conn) send(code, flag int, fields map[string]string, body []byte, answer chan *command) (opaque int32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.opaque++
	req := &command{Code: code, Language: "GO", Version: version, Opaque: c.opaque, Flag: flag, Fields: fields, body: body}
	c.client.sign(req)
	err = errors.Join(c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)), req.write(c.conn))
	if err != nil {
		return 0, errors.Join(err, c.conn.Close())
	}
	if answer != nil {
		c.pending[c.opaque] = answer
	}
	return c.opaque, nil
}
