package bank_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/internal/testserver"
)

// Whatever is opened, closed, sent, lost, delivered, delivered again and
// delivered under another id, in whatever order: the banks have what a model
// says, nothing is made or lost, and in the end every transfer is credited or
// refunded.
func TestProperty(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		most := testserver.Volume(4, 100)
		if p.north.db.Dialect() == database.SQLite {
			most = testserver.Volume(20, 100)
		}
		n, failed, seen := 0, false, make(map[pb.TransferStatus]int)
		rapid.Check(t, func(rt *rapid.T) {
			// Enough, unless rapid looks for a shorter failure.
			if n++; n > most && !failed {
				return
			}
			failed = true
			r := &run{pair: p, ids: fmt.Sprintf("p%d-", n), model: newModel()}
			r.play(rt)
			failed = false
			for _, s := range r.model.byID {
				seen[s.status]++
			}
		})
		t.Logf("transfers by status: %v", seen)
		if most >= 20 { // otherwise the property would say little
			require.NotZero(t, seen[credited])
			require.NotZero(t, seen[refunded])
		}
	})
}

// run is one sequence of actions, on accounts and requests of its own.
type run struct {
	*pair
	ids     string // what its ids begin with
	model   *model
	letters []letter // all that were ever posted
	next    int      // of letters: the first one never delivered in finish
	calls   int
}

func (r *run) play(rt *rapid.T) {
	r.fetch()
	r.letters = nil // of the runs before
	for _, b := range []*branch{r.north, r.south} {
		for _, id := range []string{"a", "b"} {
			r.openWith(rt, b, r.ids+id)
		}
	}
	rt.Repeat(map[string]func(*rapid.T){
		"open":  r.open,
		"close": r.close,
		// Twice, as the most interesting ones.
		"transfer":       r.transfer,
		"transfer again": r.transfer,
		"deliver":        r.deliver,
		"deliver again":  r.deliver,
		"":               r.check,
	})
	r.finish(rt)
}

// fetch reads what the banks have posted.
func (r *run) fetch() {
	ctx := r.north.t.Context()
	r.letters = append(r.letters, r.north.posted(ctx)...)
	r.letters = append(r.letters, r.south.posted(ctx)...)
}

// once is a request id that is used once.
func (r *run) once() string { r.calls++; return fmt.Sprintf("%sonce-%d", r.ids, r.calls) }

func (r *run) bank(rt *rapid.T) *branch {
	return rapid.SampledFrom([]*branch{r.north, r.south}).Draw(rt, "bank")
}

func (r *run) account(rt *rapid.T, label string) string {
	return r.ids + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, label)
}

func money(rt *rapid.T, least, most int64) *commonpb.Money {
	return &commonpb.Money{
		Amount:   rapid.Int64Range(least, most).Draw(rt, "amount"),
		Currency: rapid.SampledFrom([]string{"EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "USD"}).Draw(rt, "currency"),
	}
}

func (r *run) open(rt *rapid.T) { r.openWith(rt, r.bank(rt), r.account(rt, "account")) }

func (r *run) openWith(rt *rapid.T, b *branch, id string) {
	req := &pb.OpenAccountRequest{RequestId: r.once(), AccountId: id, Balance: money(rt, 0, 60)}
	_, err := b.OpenAccount(b.t.Context(), req)
	requireAnswer(rt, r.model.open(b.name, req), err)
}

func (r *run) close(rt *rapid.T) {
	b := r.bank(rt)
	req := &pb.CloseAccountRequest{RequestId: r.once(), AccountId: r.account(rt, "account")}
	_, err := b.CloseAccount(b.t.Context(), req)
	requireAnswer(rt, r.model.close(b.name, req), err)
}

func (r *run) transfer(rt *rapid.T) {
	b, to := r.north, r.south
	if rapid.Bool().Draw(rt, "from south") {
		b, to = to, b
	}
	req := &pb.TransferRequest{
		RequestId:     r.ids + rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6", "7", "8"}).Draw(rt, "request"),
		FromAccountId: r.account(rt, "from"), ToBank: to.name, ToAccountId: r.account(rt, "to"), Amount: money(rt, 1, 20),
	}
	f := rapid.SampledFrom([]fault{none, none, none, none, none, none, away, answerLost, commitLost, tooLarge}).Draw(rt, "fault")
	b.sender.next.Store(int32(f))
	resp, err := b.Transfer(b.t.Context(), req)
	b.sender.next.Store(int32(none))
	requireAnswer(rt, r.model.transfer(b.name, req, f), err)
	if err == nil {
		r.model.named(b.name, req.GetRequestId(), resp.GetTransfer().GetTransferId())
	}
	r.fetch()
}

// deliver delivers any message that was ever posted.
func (r *run) deliver(rt *rapid.T) {
	if len(r.letters) == 0 {
		return
	}
	l := rapid.SampledFrom(r.letters).Draw(rt, "letter")
	if rapid.IntRange(0, 3).Draw(rt, "renamed") == 0 {
		l = l.renamed()
	}
	r.hand(rt, l)
}

func (r *run) hand(rt *rapid.T, l letter) {
	require.NoError(rt, r.pair.deliver(l))
	var asked pb.TransferSent
	var settled pb.TransferSettled
	switch l.topic {
	case event.TopicTransfer("north"), event.TopicTransfer("south"):
		require.NoError(rt, event.Decode(l.Message, &asked))
		r.model.credit(&asked)
	default:
		require.NoError(rt, event.Decode(l.Message, &settled))
		require.NoError(rt, r.model.settle(&settled))
	}
	r.fetch()
}

// check compares the tables with the model.
func (r *run) check(rt *rapid.T) {
	north, south := r.north.books(r.ids), r.south.books(r.ids)
	require.Equal(rt, r.model.opened, total(north, south), "sum over both banks and what is on the way")
	for name, b := range map[string]books{"north": north, "south": south} {
		require.Equal(rt, r.model.accounts[name], b.accounts)
		require.Equal(rt, r.model.statuses(name), b.statuses())
	}
}

// finish delivers everything that is still on the way.
func (r *run) finish(rt *rapid.T) {
	for ; r.next < len(r.letters); r.next++ {
		r.hand(rt, r.letters[r.next])
	}
	r.check(rt)
	for _, t := range r.model.byID {
		require.NotEqual(rt, sent, t.status, "%v", t.req)
	}
}

// requireAnswer requires an error to have the reason, or for want of one the
// code, that the model says.
func requireAnswer(rt *rapid.T, want answer, err error) {
	reason, _ := rpctest.Reason(err)
	require.Equal(rt, want, answer{status.Code(err), reason}, "%v", err)
}
