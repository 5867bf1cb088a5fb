package order

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// The participants, as an answer's metadata["service"] names them.
const (
	serviceOrder   = "order"
	serviceAccount = "account"
	serviceStock   = "stock"
)

// The ids of the branches are the participants' names.
const (
	branchOrder   = serviceOrder
	branchAccount = serviceAccount
	branchStock   = serviceStock
)

const reasonPriceChanged = "PRICE_CHANGED"

// attempt is one global transaction for a request.
type attempt struct {
	gid string
	quote
	// answer to the call, once the attempt was rejected for good.
	answer error
}

// newAttempt prices a new attempt. If its error is a *tcc.Rejection, the
// attempt has its gid.
func (c *call) newAttempt(ctx context.Context) (*attempt, error) {
	gid, err := newGID()
	if err != nil {
		return nil, err
	}
	a := &attempt{gid: gid}
	a.quote, err = c.quote(ctx, c.req.GetLines())
	return a, err
}

// attempt runs an attempt, and once more with new prices if they have changed
// in between.
func (c *call) attempt(ctx context.Context, a *attempt) (*pb.Order, error) {
	order, err := c.run(ctx, a, true)
	if !errors.Is(err, errRequote) {
		return order, err
	}
	next, err := c.newAttempt(ctx)
	var no *tcc.Rejection
	switch {
	case errors.As(err, &no):
		return nil, c.rejected(ctx, a, from(no, serviceStock, a.gid))
	case err != nil:
		c.release(ctx, a)
		return nil, err
	}
	taken, err := c.store.takeOver(ctx, c.key, a.gid, next.gid, c.lease(ctx), true)
	switch {
	case err != nil:
		return nil, err
	case !taken:
		return nil, errAgain
	}
	c.news.publish(a.gid, pb.OrderStatus_ORDER_STATUS_UNSPECIFIED)
	return c.run(ctx, next, false)
}

// errRequote says that the prices have changed since they were quoted, and that
// the attempt is undone.
var errRequote = errors.New("the prices have changed")

// run runs the global transaction of an attempt and turns its end into an
// answer. requote says whether prices may be asked for once more.
func (c *call) run(ctx context.Context, a *attempt, requote bool) (*pb.Order, error) {
	sub := c.news.subscribe(a.gid)
	defer sub.Close()
	trying, cancel := tryContext(ctx)
	defer cancel()
	err := c.cfg.Coordinator.Run(trying, func(ctx context.Context, tx *coordinator.Transaction) error {
		err := tx.Try(ctx, c.branches(a)...)
		if err != nil {
			// Before the abort, so that the cancelled order has its reason,
			// and a crash cannot lose a rejection that was given.
			c.explain(ctx, a, err, requote)
		}
		return err
	}, coordinator.WithGID(a.gid))

	var (
		no      *coordinator.RejectedError
		unknown *coordinator.UnknownError
	)
	switch {
	case err == nil:
		return c.decided(ctx, sub, a)
	case errors.As(err, &unknown):
		// Not released: whoever takes over must wait for the coordinator.
		return c.pending(a, pb.OrderStatus_ORDER_STATUS_PENDING), nil
	case errors.As(err, &no):
		return nil, c.refused(ctx, sub, a, no, requote)
	default:
		c.release(ctx, a)
		return nil, c.failed(ctx, a, err)
	}
}

// tryContext ends before ctx by what the answer needs to reach the caller.
func tryContext(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) < 2*answerMargin {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-answerMargin))
}

// branches are the attempt's: the order first, so that it is confirmed last.
func (c *call) branches(a *attempt) []coordinator.Branch {
	lines := make([]*stockpb.ReserveLine, len(a.lines))
	for i, l := range a.lines {
		lines[i] = &stockpb.ReserveLine{Sku: l.GetSku(), Quantity: l.GetQuantity(), Price: l.GetPrice()}
	}
	return []coordinator.Branch{{
		Conn:    c.cfg.Order.Conn,
		Target:  c.cfg.Order.Target,
		ID:      branchOrder,
		Try:     pb.OrderService_TryCreate_FullMethodName,
		Confirm: pb.OrderService_ConfirmCreate_FullMethodName,
		Cancel:  pb.OrderService_CancelCreate_FullMethodName,
		Request: &pb.CreateRequest{
			RequestId: c.key.request, AccountId: c.key.account, Lines: a.lines, Total: a.total, CartLineIds: c.req.GetCartLineIds(),
		},
	}, {
		Conn:    c.cfg.Account.Conn,
		Target:  c.cfg.Account.Target,
		ID:      branchAccount,
		Try:     accountpb.AccountService_TryDebit_FullMethodName,
		Confirm: accountpb.AccountService_ConfirmDebit_FullMethodName,
		Cancel:  accountpb.AccountService_CancelDebit_FullMethodName,
		Request: &accountpb.DebitRequest{AccountId: c.key.account, Amount: a.total},
	}, {
		Conn:    c.cfg.Stock.Conn,
		Target:  c.cfg.Stock.Target,
		ID:      branchStock,
		Try:     stockpb.StockService_TryReserve_FullMethodName,
		Confirm: stockpb.StockService_ConfirmReserve_FullMethodName,
		Cancel:  stockpb.StockService_CancelReserve_FullMethodName,
		Request: &stockpb.ReserveRequest{Lines: lines},
	}}
}

// end is what a rejection means for the request.
type end uint8

const (
	// final: it is the request's outcome.
	final end = iota + 1
	// superseded: another call has the request now.
	superseded
	// repriced: the attempt is repeated with new prices.
	repriced
)

func endOf(no *coordinator.RejectedError, requote bool) end {
	switch r := no.Rejection.Reason; {
	case no.BranchID == branchOrder && r == reasonSuperseded:
		return superseded
	case no.BranchID == branchStock && r == reasonPriceChanged && requote:
		return repriced
	default:
		return final
	}
}

// explain stores why an attempt fails. What cannot be stored is only missing
// from the cancelled order, except for a rejection: that is no answer then.
func (c *call) explain(ctx context.Context, a *attempt, err error, requote bool) {
	reason := &tcc.Rejection{Reason: reasonAborted}
	var no *coordinator.RejectedError
	if errors.As(err, &no) {
		reason = from(no.Rejection, no.BranchID, a.gid)
		switch endOf(no, requote) {
		case final:
			a.answer = c.rejected(ctx, a, reason)
			return
		case superseded:
			return
		}
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := c.store.note(ctx, c.key, a.gid, reason); err != nil {
		c.cfg.Logger.WarnContext(ctx, "reason of an aborted order not stored", "gid", a.gid, "error", err)
	}
}

// decided answers after the decision to commit, when the order is confirmed or
// the wait is over.
func (c *call) decided(ctx context.Context, sub *subscription, a *attempt) (*pb.Order, error) {
	status, err := c.settled(ctx, sub, a.gid, time.Now().Add(c.answerWait(ctx)))
	if err != nil {
		c.cfg.Logger.WarnContext(ctx, "an order is committed, and whether it is confirmed cannot be read", "gid", a.gid, "error", err)
	}
	if status == pb.OrderStatus_ORDER_STATUS_CANCELLED {
		// Only a person can do that to a committed transaction.
		c.release(ctx, a)
		return nil, &notMadeError{why: "it was cancelled by hand after it was committed", cause: errors.New("transaction " + a.gid)}
	}
	return c.pending(a, status), nil
}

// refused answers after a rejection, when what the other branches had set aside
// is given back (the order is cancelled last) or the wait is over: so that the
// caller who goes on at once finds its balance as it was.
func (c *call) refused(ctx context.Context, sub *subscription, a *attempt, no *coordinator.RejectedError, requote bool) error {
	e := endOf(no, requote)
	if e == superseded {
		return errAgain
	}
	status, err := c.settled(ctx, sub, a.gid, time.Now().Add(c.answerWait(ctx)))
	switch {
	case e == final:
		return a.answer
	case err != nil || status == pb.OrderStatus_ORDER_STATUS_PENDING:
		c.release(ctx, a)
		return &notMadeError{why: "prices have changed, and no time is left to ask for the new ones", passes: true, cause: no}
	}
	return errRequote
}

// failed is the answer to an attempt that ended for no reason of business.
func (c *call) failed(ctx context.Context, a *attempt, err error) error {
	var (
		aborted *coordinator.AbortedError
		away    *coordinator.UnavailableError
	)
	switch {
	case errors.As(err, &away):
		return &notMadeError{why: "the transaction coordinator does not answer", passes: true, cause: err}
	case errors.As(err, &aborted):
		what := "its transaction"
		if aborted.BranchID != "" {
			what += "'s branch " + aborted.BranchID
		}
		switch aborted.GRPCStatus().Code() {
		case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
			return &notMadeError{why: what + " did not get through in time", passes: true, cause: err}
		}
		c.cfg.Logger.ErrorContext(ctx, "an order failed", "gid", a.gid, "error", err)
		return &notMadeError{why: what + " failed", cause: err}
	}
	c.cfg.Logger.ErrorContext(ctx, "an order failed", "gid", a.gid, "error", err)
	return &notMadeError{why: "its transaction could not begin", cause: err}
}

// pending is the attempt's order as this call knows it.
func (c *call) pending(a *attempt, status pb.OrderStatus) *pb.Order {
	return &pb.Order{
		OrderId:    a.gid,
		RequestId:  c.key.request,
		AccountId:  c.key.account,
		Lines:      a.lines,
		Total:      a.total,
		Status:     status,
		CreateTime: timestamppb.New(createTime(a.gid)),
	}
}
