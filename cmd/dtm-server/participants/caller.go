// Package participants makes the server's calls to participants (Confirm, Cancel and the like) over
// connections of its own, which DTM's are not up to: with TLS, spread over all addresses of a name, and without
// giving up because a participant restarts.
package participants

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Config configures a Caller. The zero value makes plaintext connections.
type Config struct {
	// Credentials of the connections; nil: plaintext.
	Credentials credentials.TransportCredentials
	// Report receives each call that failed, but not one that a participant asks to be repeated later. Nil:
	// nobody.
	Report func(error)

	authority string // host:port of the DNS server to ask; empty: the system's resolver
	limits    limits
}

// limits of the connections; tests lower them.
type limits struct {
	connections int           // at most, to so many host:port
	idle        time.Duration // unused so long, a connection is closed
	age         time.Duration // so old, it is replaced, so that calls reach replicas that came since
	sweep       time.Duration // how often that is looked at
	patience    time.Duration // see suspension
	moment      time.Duration // see suspension
}

func defaultLimits() limits {
	return limits{
		connections: 256, idle: 5 * time.Minute, age: 10 * time.Minute, sweep: 15 * time.Second,
		patience: 15 * time.Second, moment: 500 * time.Millisecond,
	}
}

// Caller calls participants. Its methods may be called concurrently.
type Caller struct {
	cfg Config

	mu      sync.Mutex
	open    map[string]*connection // by host:port
	retired map[*connection]bool   // replaced, but in use
	calling map[string]bool        // branch calls under way
	closed  bool

	stop  chan struct{}
	swept sync.WaitGroup
}

// New returns a Caller, which must be closed.
func New(cfg Config) *Caller {
	if cfg.Credentials == nil {
		cfg.Credentials = insecure.NewCredentials()
	}
	if cfg.Report == nil {
		cfg.Report = func(error) {}
	}
	if cfg.limits == (limits{}) {
		cfg.limits = defaultLimits()
	}
	c := &Caller{
		cfg: cfg, open: make(map[string]*connection), retired: make(map[*connection]bool), calling: make(map[string]bool),
		stop: make(chan struct{}),
	}
	c.swept.Go(c.sweepUntilClosed)
	return c
}

// Close ends calls that are under way, and the connections.
func (c *Caller) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	for _, conn := range c.open {
		conn.close()
	}
	for conn := range c.retired {
		conn.close()
	}
	clear(c.open)
	clear(c.retired)
	c.mu.Unlock()
	close(c.stop)
	c.swept.Wait()
}

// Call sends request, already encoded, to a method at host:port, with the outgoing metadata of ctx. It waits
// until the participant is reachable, as long as ctx lasts, unless it was not for long. A branch that is being
// called already is not called a second time: the answer is FailedPrecondition, which makes DTM ask again later.
// An error tells the participant's name, but Aborted and FailedPrecondition are passed on as they are, for they
// are answers.
func (c *Caller) Call(ctx context.Context, server, method string, request []byte) error {
	done, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = c.call(ctx, server, method, request)
	switch status.Code(err) {
	case codes.OK, codes.Aborted, codes.FailedPrecondition:
		return err
	default:
		err = fmt.Errorf("participant %s%s: %w", server, method, err)
		c.cfg.Report(fmt.Errorf("%s: %w", branchOf(ctx), err))
		return err
	}
}

func (c *Caller) call(ctx context.Context, server, method string, request []byte) error {
	conn, err := c.acquire(server)
	if err != nil {
		return err
	}
	defer func() { c.release(conn) }()
	trial, err := conn.admit(ctx, c.cfg.limits.patience, c.cfg.limits.moment)
	if err != nil {
		return err
	}
	if trial && conn.client.GetState() != connectivity.Ready {
		if conn, err = c.renew(conn); err == nil {
			conn.settle(ctx, connectTimeout)
		}
	}
	var reply []byte
	err = conn.client.Invoke(ctx, method, request, &reply, grpc.ForceCodec(raw{}), grpc.WaitForReady(!trial))
	conn.report(trial, reached(ctx, conn.client, err))
	return err
}

// enter keeps a branch from being called twice at once by this process, as DTM does when a call takes longer
// than the time for which a recovery loop claims a transaction.
func (c *Caller) enter(ctx context.Context) (done func(), err error) {
	key := branchOf(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calling[key] {
		return nil, status.Error(codes.FailedPrecondition, "dtm-server: this branch is being called already")
	}
	c.calling[key] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.calling, key)
	}, nil
}

// branchOf says which branch a call is for, by DTM's metadata.
func branchOf(ctx context.Context) string {
	md, _ := metadata.FromOutgoingContext(ctx)
	first := func(key string) string {
		if values := md.Get(key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	return fmt.Sprintf("%s of branch %s of %s", first("dtm-op"), first("dtm-branch_id"), first("dtm-gid"))
}
