package participants

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// reconnectPause bounds the pause between attempts to connect, which is up to two minutes by default: a
	// participant that is back is to be noticed.
	reconnectPause = 2 * time.Second
	// connectTimeout bounds an attempt.
	connectTimeout = 3 * time.Second
	// A gRPC server that does not say otherwise ends connections that ping more often than every 5 minutes. A
	// peer that vanished is noticed sooner, for grpc-go has Linux give data up that is not acknowledged within
	// pingPatience.
	pingAfter    = 5*time.Minute + 10*time.Second
	pingPatience = 10 * time.Second
)

// connection is what calls to one host:port go over: one TCP connection to each of its addresses.
type connection struct {
	server string
	client *grpc.ClientConn
	opened time.Time

	// Under Caller.mu:
	users int
	used  time.Time

	*suspension
}

func (c *Caller) dial(server string, suspension *suspension) (*connection, error) {
	client, err := grpc.Dial("dns://"+c.cfg.authority+"/"+server,
		grpc.WithTransportCredentials(c.cfg.Credentials),
		grpc.WithDisableServiceConfig(), // of DNS
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithDisableRetry(), // DTM repeats
		grpc.WithNoProxy(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingPatience}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnectPause},
			MinConnectTimeout: connectTimeout,
		}),
	)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	now := time.Now()
	return &connection{server: server, client: client, opened: now, used: now, suspension: suspension}, nil
}

func (c *connection) close() { _ = c.client.Close() } // it can only have been closed before

// settle waits, for so long at most, until a new connection is ready or its first attempt has failed.
func (c *connection) settle(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		state := c.client.GetState()
		if state == connectivity.Ready || state == connectivity.TransientFailure || !c.client.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// reached tells whether a participant answered, whatever it answered. A server may notice before the client that
// the time is over, so that this, too, comes as an answer.
func reached(ctx context.Context, client *grpc.ClientConn, err error) bool {
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		return false
	case codes.Canceled:
		return ctx.Err() == nil
	case codes.Unavailable:
		return client.GetState() == connectivity.Ready
	default:
		return true
	}
}

// raw passes encoded messages through.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	message, ok := v.([]byte)
	if !ok {
		return nil, errNotRaw
	}
	return message, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return errNotRaw
	}
	*message = append((*message)[:0], data...)
	return nil
}

// Name is that of the encoding of what passes.
func (raw) Name() string { return "proto" }

var errNotRaw = errors.New("participants: a message that is not encoded")
