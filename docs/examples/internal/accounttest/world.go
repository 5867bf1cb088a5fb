package accounttest

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// balance is what is in the account at first.
const balance = 100

// world is one case's account, and one global transaction that debits it.
type world struct {
	*testing.T
	db      Database
	example Example
	account string
	gid     string
}

func newWorld(t *testing.T, db Database, e Example) *world {
	t.Helper()
	w := &world{T: t, db: db, example: e, account: uuid.NewString(), gid: uuid.NewString()}
	_, err := db.Pool.ExecContext(t.Context(), "INSERT INTO account (account_id, currency, available, frozen, spent) VALUES (?, 'EUR', ?, 0, 0)", w.account, balance)
	require.NoError(t, err)
	return w
}

// delivery is the context of a call as tcc's server interceptor makes it of
// the call's metadata.
func (w *world) delivery(p tcc.Phase) context.Context {
	return tcc.NewContext(w.Context(), tcc.Branch{GID: w.gid, ID: "account", Phase: p, Method: pb.AccountService_TryDebit_FullMethodName})
}

func (w *world) request(amount int64) *pb.DebitRequest {
	return &pb.DebitRequest{AccountId: w.account, Amount: &commonpb.Money{Amount: amount, Currency: "EUR"}}
}

func (w *world) try(amount int64) error {
	resp, err := w.example.Participant.TryDebit(w.delivery(tcc.Try), w.request(amount))
	if err == nil && resp == nil {
		w.Error("TryDebit returned neither a response nor an error")
	}
	return err
}

func (w *world) confirm(amount int64) error {
	_, err := w.example.Participant.ConfirmDebit(w.delivery(tcc.Confirm), w.request(amount))
	return err
}

func (w *world) cancel(amount int64) error {
	_, err := w.example.Participant.CancelDebit(w.delivery(tcc.Cancel), w.request(amount))
	return err
}

// tryWork delivers a Try with work of the case's own.
func (w *world) tryWork(work func(ctx context.Context, tx barrier.Tx) error) error {
	_, err := barrier.Try(w.delivery(tcc.Try), w.db.Store, w.request(1), func(ctx context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		return &pb.TryDebitResponse{}, work(ctx, tx)
	})
	return err
}

// requireBooks requires the account's sums and the state of the branch's row.
func (w *world) requireBooks(want sums, state barrier.State) {
	w.Helper()
	require.Equal(w, want, w.db.sums(w.Context(), w.T, w.account))
	require.Equal(w, state.String(), w.db.state(w.Context(), w.T, w.gid).String(), "the state of the branch's row")
}

// requireRejection requires err to be the business's no.
func (w *world) requireRejection(err error, reason string, metadata map[string]string) {
	w.Helper()
	var r *tcc.Rejection
	require.ErrorAs(w, err, &r)
	require.Equal(w, reason, r.Reason)
	require.Equal(w, metadata, r.Metadata)
}
