package participants

import (
	"context"
	"errors"
	"sync"
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

	suspension
}

func (c *Caller) dial(server string) (*connection, error) {
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
	return &connection{server: server, client: client, opened: now, used: now}, nil
}

func (c *connection) close() { _ = c.client.Close() } // it can only have been closed before

// reached tells whether a participant answered, whatever it answered.
func reached(ctx context.Context, client *grpc.ClientConn, err error) bool {
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Canceled:
		return ctx.Err() == nil
	case codes.Unavailable:
		return client.GetState() == connectivity.Ready
	default:
		return true
	}
}

// suspension keeps a participant that has not answered for long from holding up what others wait for, DTM's few
// recovery loops above all. Then one call at a time tries it, and does not wait for a connection; the others fail
// at once.
type suspension struct {
	mu     sync.Mutex
	since  time.Time // of the first call without an answer since the last with one; zero: it answers
	trying bool
}

// admit tells whether a call is the one that tries, or is not to be made. A call that is made must be reported.
func (s *suspension) admit(patience time.Duration) (trial bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() || time.Since(s.since) < patience {
		return false, nil
	}
	if s.trying {
		return false, status.Errorf(codes.Unavailable, "no answer since %s; another call is trying it", s.since.UTC().Format(time.RFC3339))
	}
	s.trying = true
	return true, nil
}

func (s *suspension) report(trial, reached bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if trial {
		s.trying = false
	}
	switch {
	case reached:
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = time.Now()
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
