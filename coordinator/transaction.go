package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"go.opentelemetry.io/otel/trace"
)

// Transaction is a global transaction that was begun and must be ended with
// Commit or Abort. Its methods may be called from several goroutines, but
// Commit only when no Try is running.
type Transaction struct {
	c         *Client
	gid       string
	signature string
	headers   map[string]string
	request   *dtmgpb.DtmRequest // of Prepare, Submit and Abort
	began     time.Time
	span      trace.Span

	// registering is held while branches are registered, so that the
	// branches of one call of Try follow each other.
	registering sync.Mutex
	ids         map[string]struct{} // of the registered branches
	guarded     bool                // the connection honours call options

	mu      sync.Mutex
	running int   // calls of Try
	failed  error // the first failure of a Try; it can only be aborted then
	ended   bool
}

// GID returns the transaction's id.
func (tx *Transaction) GID() string { return tx.gid }

// enter begins a Try.
func (tx *Transaction) enter() error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	switch {
	case tx.ended:
		return tx.errEnded()
	case tx.failed != nil:
		return &AbortedError{GID: tx.gid, Err: fmt.Errorf("an earlier try failed: %w", tx.failed)}
	}
	tx.running++
	return nil
}

// leave ends a Try and remembers its failure, if it is the first.
func (tx *Transaction) leave(err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.running--
	if err != nil && tx.failed == nil {
		tx.failed = err
	}
}

// end lets exactly one caller end the transaction. It returns why it cannot be
// committed, nil if it can.
func (tx *Transaction) end() (obstacle error, err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.ended {
		return nil, tx.errEnded()
	}
	tx.ended = true
	if tx.failed == nil && tx.running > 0 {
		return &AbortedError{GID: tx.gid, Err: errors.New("commit was called while a try was running")}, nil
	}
	return tx.failed, nil
}

func (tx *Transaction) errEnded() error {
	return fmt.Errorf("transaction %s has ended: commit or abort was called before", tx.gid)
}

// abortedBy says why the coordinator refuses to go on: by itself it aborts only
// a transaction whose time is over.
func (tx *Transaction) abortedBy(coordinator error) error {
	timeout := time.Duration(tx.request.GetTransOptions().GetTimeoutToFail()) * time.Second
	if time.Since(tx.began) < timeout {
		return fmt.Errorf("the coordinator has aborted it already: %w", coordinator)
	}
	return fmt.Errorf("the coordinator has aborted it because its time was over: %w: %w", context.DeadlineExceeded, coordinator)
}

// settling returns a context for what must be done even though the caller's
// may have ended.
func (c *Client) settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.cfg.SettleTimeout)
}

// record records how it ended.
func (tx *Transaction) record(ctx context.Context, err error) {
	tx.c.telemetry.end(ctx, tx.span, tx.began, outcomeOf(err), err)
}

func outcomeOf(err error) outcome {
	var (
		noAnswer  *UnknownError
		rejection *RejectedError
	)
	switch {
	case err == nil:
		return committed
	case errors.As(err, &noAnswer):
		return unknown
	case errors.As(err, &rejection):
		return rejected
	default:
		return aborted
	}
}
