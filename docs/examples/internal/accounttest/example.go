// Package accounttest is what every example in docs/examples must pass: each
// is the same participant, written with another library, and is run here
// against real databases.
package accounttest

import (
	"context"
	"testing"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
)

// Participant is an account's share of a global transaction.
type Participant interface {
	// TryDebit moves the amount from available to frozen, or is rejected with
	// UNKNOWN_ACCOUNT or, naming what is available, INSUFFICIENT_BALANCE.
	TryDebit(context.Context, *pb.DebitRequest) (*pb.TryDebitResponse, error)
	// ConfirmDebit moves it from frozen to spent.
	ConfirmDebit(context.Context, *pb.DebitRequest) (*pb.ConfirmDebitResponse, error)
	// CancelDebit moves it from frozen back to available.
	CancelDebit(context.Context, *pb.DebitRequest) (*pb.CancelDebitResponse, error)
}

// Example is one library's.
type Example struct {
	Participant Participant
	// Deposit adds 1 to what an account has available, with the library, by
	// one statement.
	Deposit func(ctx context.Context, tx barrier.Tx, id string) error
	// Open opens accounts in EUR with nothing in them, in a call around which
	// the library puts a transaction unasked, or would if that were not off.
	// Nil for a library that begins none unasked.
	Open func(ctx context.Context, tx barrier.Tx, ids []string) error
	// Begins are the ways in which the library can be asked for a transaction,
	// by name. A branch is one already: each must return an error.
	Begins map[string]func(ctx context.Context, tx barrier.Tx) error
}

// Run runs all cases on databases of each kind. newExample is called once for
// each database.
func Run(t *testing.T, newExample func(t *testing.T, db Database) Example) {
	t.Parallel()
	each(t, func(t *testing.T, db Database) {
		e := newExample(t, db)
		for _, c := range []struct {
			name string
			run  func(w *world)
		}{
			{"Confirmed", confirmed},
			{"Cancelled", cancelled},
			{"DeliveredAtOnce", deliveredAtOnce},
			{"RejectionSticks", rejectionSticks},
			{"RejectionLeavesNothing", rejectionLeavesNothing},
			{"UnknownAccount", unknownAccount},
			{"CancelBeforeTry", cancelBeforeTry},
			{"ConfirmOfNothingFrozen", confirmOfNothingFrozen},
			{"Queued", queuedChange},
			{"Begin/ByHand", beginByHand},
		} {
			t.Run(c.name, func(t *testing.T) { run(t, db, e, c.run) })
		}
		if e.Open != nil {
			t.Run("OpenTogether", func(t *testing.T) { run(t, db, e, openTogether) })
		}
		for name, begin := range e.Begins {
			t.Run("Begin/"+name, func(t *testing.T) {
				run(t, db, e, func(w *world) { beginIsRefused(w, begin) })
			})
		}
	})
}

// run runs a case and sees that it left no connection behind.
func run(t *testing.T, db Database, e Example, test func(w *world)) {
	t.Helper()
	test(newWorld(t, db, e))
	if n := db.Pool.Stats().InUse; n != 0 {
		t.Errorf("%d connections are still in use", n)
	}
}
