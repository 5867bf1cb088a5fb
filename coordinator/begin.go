package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

const (
	transType = "tcc"
	// prepareAttempts bounds how often Prepare is sent while the answer is
	// Unavailable. It may be repeated, and a connection that DTM's restart
	// broke fails one call; more is the business of the connection's owner.
	prepareAttempts = 3
)

// Begin begins a global transaction: when it returns, the coordinator has
// stored it. It must be ended with Commit or Abort; if it is not, as when the
// initiator dies, the coordinator aborts it 10 s after ctx's deadline, or up to
// about 15 s later, for DTM looks at it only every 10 s. ctx must have a
// deadline, which should cover all Trys.
//
// Errors: *[UnavailableError] when the coordinator is away; an error that wraps
// [tcc.ErrInvalid] when ctx has no deadline or an option is malformed; one that
// wraps [ErrGIDUsed]. In each case nothing was begun.
func (c *Client) Begin(ctx context.Context, opts ...BeginOption) (*Transaction, error) {
	tx, _, err := c.begin(ctx, opts)
	return tx, err
}

// begin also returns ctx with the transaction's span.
func (c *Client) begin(ctx context.Context, opts []BeginOption) (*Transaction, context.Context, error) {
	began := time.Now()
	var o beginOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.gid == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, nil, fmt.Errorf("coordinator: gid: %w", err)
		}
		o.gid = id.String()
	}
	if err := tcc.ValidateGID(o.gid); err != nil {
		return nil, nil, tcc.Invalidf("coordinator: %s", err)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil, nil, tcc.Invalidf("transaction %s: the context has no deadline: give it one that covers all Trys, the coordinator needs to know when to give up", o.gid)
	}
	if err := validateHeaders(o.headers); err != nil {
		return nil, nil, fmt.Errorf("transaction %s: %w", o.gid, err)
	}

	tx := &Transaction{c: c, gid: o.gid, headers: o.headers, began: began, ids: make(map[string]struct{})}
	if c.cfg.Keys != nil {
		tx.signature = c.cfg.Keys.Sign(tx.gid, began)
	}
	ctx, tx.span = c.telemetry.start(ctx, tx.gid)
	options, err := c.dtmOptions(ctx, time.Until(deadline), o.headers, tx.signature)
	if err != nil {
		tx.span.End()
		return nil, nil, fmt.Errorf("transaction %s: %w", tx.gid, err)
	}
	tx.request = &dtmgpb.DtmRequest{Gid: tx.gid, TransType: transType, TransOptions: options}
	if err := tx.prepare(ctx); err != nil {
		if errors.Is(err, ErrGIDUsed) {
			tx.span.End() // the transaction of that gid is another one
		} else {
			c.telemetry.end(ctx, tx.span, began, unavailable, err)
		}
		return nil, nil, err
	}
	return tx, ctx, nil
}

func (tx *Transaction) prepare(ctx context.Context) error {
	var p pace
	for attempt := 1; ; attempt++ {
		_, err := tx.c.dtm.Prepare(ctx, tx.request)
		switch code := status.Code(err); {
		case err == nil:
			return nil
		case code == codes.Aborted:
			// The status stays out of the chain: Aborted would tell the
			// initiator's caller to try again.
			return fmt.Errorf("transaction %s: %w: %s", tx.gid, ErrGIDUsed, status.Convert(err).Message())
		case code == codes.Unavailable && attempt < prepareAttempts && wait(ctx, p.next()):
			continue
		}
		return &UnavailableError{GID: tx.gid, Err: withContext(ctx, err)}
	}
}

// withContext adds the end of ctx to an error that it may have caused: a gRPC
// status does not unwrap to it. A call that ran out of time a moment before
// its context says so still belongs to it.
func withContext(ctx context.Context, err error) error {
	ended := contextError(ctx)
	if ended == nil {
		deadline, ok := ctx.Deadline()
		if status.Code(err) != codes.DeadlineExceeded || !ok || time.Until(deadline) > 0 {
			return err
		}
		ended = context.DeadlineExceeded
	}
	if errors.Is(err, ended) {
		return err
	}
	return fmt.Errorf("%w: %w", ended, err)
}

// contextError says why ctx ended, with the cause if it was given one; nil if
// it has not.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
