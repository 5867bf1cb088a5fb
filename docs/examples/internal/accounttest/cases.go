package accounttest

import (
	"context"
	"strconv"
	"sync"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/queued"
	"github.com/tcckit/tcckit/tcc"
)

// Each phase is delivered twice throughout, as the coordinator may.

func confirmed(w *world) {
	for range 2 {
		require.NoError(w, w.try(30))
		w.requireBooks(sums{Available: 70, Frozen: 30}, barrier.Tried)
	}
	for range 2 {
		require.NoError(w, w.confirm(30))
		w.requireBooks(sums{Available: 70, Spent: 30}, barrier.Confirmed)
	}
	var conflict *tcc.ConflictError
	require.ErrorAs(w, w.cancel(30), &conflict)
	w.requireBooks(sums{Available: 70, Spent: 30}, barrier.Confirmed)
}

func cancelled(w *world) {
	require.NoError(w, w.try(30))
	for range 2 {
		require.NoError(w, w.cancel(30))
		w.requireBooks(sums{Available: 100}, barrier.Cancelled)
	}
}

// deliveredAtOnce delivers each phase to several callers at the same time.
func deliveredAtOnce(w *world) {
	const callers = 8
	for _, phase := range []func(int64) error{w.try, w.confirm} {
		var all sync.WaitGroup
		errs := make([]error, callers)
		for i := range callers {
			all.Go(func() { errs[i] = phase(30) })
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(w, err)
		}
	}
	w.requireBooks(sums{Available: 70, Spent: 30}, barrier.Confirmed)
}

func rejectionSticks(w *world) {
	w.requireInsufficient(w.try(balance + 1))
	w.requireBooks(sums{Available: balance}, barrier.Rejected)

	// A Try that is delivered again is rejected for what was the case then.
	_, err := w.db.Pool.ExecContext(w.Context(), "UPDATE account SET available = 1000 WHERE account_id = ?", w.account)
	require.NoError(w, err)
	w.requireInsufficient(w.try(balance + 1))
	require.NoError(w, w.cancel(balance+1))
	w.requireBooks(sums{Available: 1000}, barrier.Rejected)
}

func (w *world) requireInsufficient(err error) {
	w.Helper()
	w.requireRejection(err, "INSUFFICIENT_BALANCE", map[string]string{"available": strconv.Itoa(balance)})
}

func rejectionLeavesNothing(w *world) {
	err := w.tryWork(func(ctx context.Context, tx barrier.Tx) error {
		if err := w.example.Deposit(ctx, tx, w.account); err != nil {
			return err
		}
		return tcc.Reject("SECOND_THOUGHTS", "", nil)
	})
	w.requireRejection(err, "SECOND_THOUGHTS", nil)
	w.requireBooks(sums{Available: balance}, barrier.Rejected)
}

func unknownAccount(w *world) {
	account := w.account
	w.account = "nobody's"
	w.requireRejection(w.try(1), "UNKNOWN_ACCOUNT", nil)
	w.account = account
	w.requireBooks(sums{Available: balance}, barrier.Rejected)
}

func cancelBeforeTry(w *world) {
	for range 2 {
		require.NoError(w, w.cancel(30))
		w.requireBooks(sums{Available: balance}, barrier.EmptyCancelled)
	}
	var late *barrier.LateTryError
	require.ErrorAs(w, w.try(30), &late)
	w.requireRejection(w.try(30), tcc.ReasonLateTry, nil)
	w.requireBooks(sums{Available: balance}, barrier.EmptyCancelled)
}

// confirmOfNothingFrozen confirms what the Try set aside and somebody took: a
// Confirm that cannot do its work is no success, and is not remembered as one.
func confirmOfNothingFrozen(w *world) {
	require.NoError(w, w.try(30))
	_, err := w.db.Pool.ExecContext(w.Context(), "UPDATE account SET frozen = 0 WHERE account_id = ?", w.account)
	require.NoError(w, err)
	require.Error(w, w.confirm(30))
	w.requireBooks(sums{Available: 70}, barrier.Tried)
}

// queuedChange has the library queue a change, which first must affect more
// rows than it does.
func queuedChange(w *world) {
	deposit := func(rows int64) error {
		return w.tryWork(func(ctx context.Context, tx barrier.Tx) error {
			return w.example.Deposit(ctx, queued.On(tx, barrier.Stmt{
				Key:  w.account,
				Rows: rows,
				Otherwise: func(context.Context, barrier.Tx) error {
					return tcc.Reject("TOO_FEW_ROWS", "", nil)
				},
			}), w.account)
		})
	}
	w.requireRejection(deposit(2), "TOO_FEW_ROWS", nil)
	w.requireBooks(sums{Available: balance}, barrier.Rejected)

	w.gid = uuid.NewString()
	require.NoError(w, deposit(1))
	w.requireBooks(sums{Available: balance + 1}, barrier.Tried)
}

// openTogether opens accounts in a branch that is rejected, and again in one
// that is not.
func openTogether(w *world) {
	ids := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	rejection := tcc.Reject("SECOND_THOUGHTS", "", nil)
	open := func(end error) error {
		return w.tryWork(func(ctx context.Context, tx barrier.Tx) error {
			if err := w.example.Open(ctx, tx, ids); err != nil {
				return err
			}
			return end
		})
	}
	w.requireRejection(open(rejection), "SECOND_THOUGHTS", nil)
	require.Zero(w, w.db.count(w.Context(), w.T, ids))

	w.gid = uuid.NewString()
	require.NoError(w, open(nil))
	require.Equal(w, len(ids), w.db.count(w.Context(), w.T, ids))
}

// beginByHand sends the statements that would end the branch's transaction.
func beginByHand(w *world) {
	for _, statement := range []string{"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT mine"} {
		err := w.tryWork(func(ctx context.Context, tx barrier.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
		require.ErrorContains(w, err, "statement refused")
		w.requireBooks(sums{Available: balance}, barrier.None)
	}
}

// beginIsRefused has the library begin a transaction after it has changed
// something.
func beginIsRefused(w *world, begin func(ctx context.Context, tx barrier.Tx) error) {
	var refusal error
	err := w.tryWork(func(ctx context.Context, tx barrier.Tx) error {
		if err := w.example.Deposit(ctx, tx, w.account); err != nil {
			return err
		}
		refusal = begin(ctx, tx)
		return refusal
	})
	require.Error(w, refusal, "the library began a transaction inside the branch's")
	require.ErrorContains(w, refusal, "transaction", "what is wrong")
	require.ErrorIs(w, err, refusal)
	w.requireBooks(sums{Available: balance}, barrier.None)
}
