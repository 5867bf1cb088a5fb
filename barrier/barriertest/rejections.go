package barriertest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func rejections() []testCase {
	return []testCase{
		{name: "Sticky", forms: allForms, run: rejectionSticky},
		{name: "UndoesEverything", forms: allForms, run: rejectionUndoesEverything},
		{name: "UnknownItem", forms: allForms, run: rejectionUnknownItem},
		{name: "ByWork", run: rejectionByWork},
		{name: "AnySize", run: rejectionAnySize},
		{name: "NotInConfirmOrCancel", forms: openForms, run: rejectionNotInConfirmOrCancel},
		{name: "AfterViolatedConstraint", run: rejectionAfterViolatedConstraint},
	}
}

// rejectionSticky: the stock that comes in later does not change the answer,
// for the initiator may have acted on it.
func rejectionSticky(w *world) {
	other := w.replica()
	it := w.item(w.t, stock, "sku", 2)
	b := w.debit(it, 3)
	first := w.deliver(b, tcc.Try)
	w.want(rejected, first)
	r := first.rejection(w.t)
	require.Equal(w.t, &tcc.Rejection{Reason: reasonInsufficient, Message: "nicht genug übrig", Metadata: map[string]string{"item": it.String(), "left": "2"}}, r)
	w.refill(w.t, it, 100)
	for _, s := range []barrier.Store{w.Store, other.Store} {
		again := b.deliver(w.ctx, s, tcc.Try)
		w.want(rejected, again)
		require.Equal(w.t, r, again.rejection(w.t))
		w.wantState(barrier.Rejected, b)
	}
	w.want(duplicate, w.deliver(b, tcc.Cancel))
	w.want(conflict(barrier.Rejected), w.deliver(b, tcc.Confirm))
	require.Equal(w.t, row{available: 102}, w.row(w.t, it))
	w.want(done, w.deliver(w.debit(it, 3), tcc.Try))
}

// rejectionUndoesEverything: what the branch did before its last line failed
// is undone with it.
func rejectionUndoesEverything(w *world) {
	plenty, scarce := w.item(w.t, account, "a", 100), w.item(w.t, stock, "z", 1)
	b := w.branch(w.form, line{plenty, 10}, line{plenty, 20}, line{scarce, 2})
	a := w.deliver(b, tcc.Try)
	w.want(rejected, a)
	require.Equal(w.t, scarce.String(), a.rejection(w.t).Metadata["item"])
	w.wantState(barrier.Rejected, b)
	require.Equal(w.t, row{available: 100}, w.row(w.t, plenty))
	w.want(duplicate, w.deliver(b, tcc.Cancel))
}

func rejectionUnknownItem(w *world) {
	b := w.debit(item{account, "nobody"}, 1)
	a := w.deliver(b, tcc.Try)
	w.want(rejected, a)
	require.Equal(w.t, &tcc.Rejection{Reason: reasonUnknown, Metadata: map[string]string{"item": "account nobody"}}, a.rejection(w.t))
	w.want(rejected, w.deliver(b, tcc.Try))
}

// rejectionByWork: the work function itself may say no, before or after it
// has written, plainly or wrapped.
func rejectionByWork(w *world) {
	it := w.item(w.t, account, "a", 100)
	no := tcc.Reject("CLOSED", "the account is closed", map[string]string{"since": "2020"})
	for _, f := range allForms {
		for name, err := range map[string]error{"plain": no, "wrapped": fmt.Errorf("open: %w", no), "joined": errors.Join(errors.New("open"), no)} {
			b := w.branch(f, line{it, 5})
			first := w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(context.Context, barrier.Tx) error { return err }))
			w.want(rejected, first)
			w.wantState(barrier.Rejected, b)
			// The second time the business would say yes.
			again := w.deliver(b, tcc.Try)
			w.want(rejected, again)
			for _, a := range []answer{first, again} {
				require.Equal(w.t, no, error(a.rejection(w.t)), "%s, %s", f, name)
			}
		}
		b := w.branch(f, line{it, 5})
		w.want(rejected, w.deliverWork(b, tcc.Try, func(context.Context, barrier.Tx) ([]byte, error) { return nil, no }))
		w.wantState(barrier.Rejected, b)
		w.want(rejected, w.deliver(b, tcc.Try))
	}
}

// rejectionAnySize: a Try must have an answer however long it is, and always
// the same.
func rejectionAnySize(w *world) {
	it := w.item(w.t, account, "a", 100)
	many := make(map[string]string)
	for i := range 500 {
		many[fmt.Sprint("key", i)] = strings.Repeat("v", 20)
	}
	for i, r := range []*tcc.Rejection{
		{Reason: "R"},
		{Reason: ""},
		{Reason: strings.Repeat("R", 1000)},
		{Reason: "R", Message: strings.Repeat("ü", 5000)},
		{Reason: "R", Message: "not UTF-8: \xff\xfe"},
		{Reason: "R", Message: "🂡 ' \" \\ ? ; -- \x00 \n <&>\u2028", Metadata: map[string]string{"": "", "käse": "🧀", "bad": "\xff"}},
		{Reason: "R", Metadata: many},
		{Reason: "R", Metadata: map[string]string{"k": strings.Repeat("x", tcc.MaxRejectionLen)}},
		{Reason: "R", Message: strings.Repeat("m", tcc.MaxRejectionLen/2), Metadata: map[string]string{"k": strings.Repeat("v", tcc.MaxRejectionLen/2-2)}},
	} {
		for _, f := range mainForms {
			b := w.branch(f, line{it, 5})
			first := w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(context.Context, barrier.Tx) error { return r }))
			w.want(rejected, first)
			again := w.deliver(b, tcc.Try)
			w.want(rejected, again)
			require.Equal(w.t, first.rejection(w.t), again.rejection(w.t), "rejection %d", i)
			require.Equal(w.t, r.Fit(), again.rejection(w.t), "rejection %d", i)
		}
	}
}

// rejectionNotInConfirmOrCancel: what was tried can be finished; a business no
// is a bug then, and the branch waits for a better release.
func rejectionNotInConfirmOrCancel(w *world) {
	it := w.item(w.t, account, "a", 100)
	for _, p := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
		b := w.debit(it, 1)
		w.want(done, w.deliver(b, tcc.Try))
		w.want(internal, w.deliverWork(b, p, func(context.Context, barrier.Tx) ([]byte, error) { return nil, tcc.Reject("NO", "", nil) }))
		w.want(internal, w.deliverWork(b, p, b.after(p, func(context.Context, barrier.Tx) error { return tcc.Reject("NO", "", nil) })))
		w.wantState(barrier.Tried, b)
		w.want(done, w.deliver(b, p))
	}
}

// rejectionAfterViolatedConstraint: work may turn a constraint's no into a
// rejection. The statement failed and is undone, so either the rejection
// sticks or the branch fails; not one now and the other later.
func rejectionAfterViolatedConstraint(w *world) {
	it := w.item(w.t, account, "a", 100)
	for _, f := range openForms {
		b := w.branch(f, line{it, 1})
		work := b.after(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO account (id, available, frozen, spent) VALUES (?, 0, 0, 0)", it.id); err != nil {
				return tcc.Reject("EXISTS", "the account exists", nil)
			}
			return nil
		})
		first := w.deliverWork(b, tcc.Try, work)
		require.Contains(w.t, []verdict{rejected, internal}, first.verdict(), "%v", first.err)
		again := w.deliverWork(b, tcc.Try, work)
		w.want(first.verdict(), again)
		if first.verdict() == rejected {
			w.wantState(barrier.Rejected, b)
		} else {
			w.wantState(barrier.None, b)
		}
	}
}
