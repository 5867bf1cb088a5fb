package bank_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/participants/bank"
)

// renamed is the same message under an id of its own.
func (l letter) renamed() letter {
	l.Message = l.Copy()
	l.UUID = uuid.NewString()
	return l
}

// write is a message that nobody has posted.
func write(t *testing.T, topic string, m proto.Message) letter {
	t.Helper()
	payload, err := event.Encode(m)
	require.NoError(t, err)
	return letter{topic, message.NewMessage(uuid.NewString(), payload)}
}

func TestDuplicatesOfEachMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		p.south.open("bob", 0)
		p.south.open("closed", 0)
		p.south.close("closed")
		good := p.north.transfer(p.north.request(30))
		req := p.north.request(20)
		req.ToAccountId = "closed"
		bad := p.north.transfer(req)
		var answers []letter
		for _, l := range p.north.posted(t.Context()) {
			for range 3 {
				require.NoError(t, p.deliver(l))
			}
			require.NoError(t, p.deliver(l.renamed()))
		}
		p.south.requireBalance("bob", 30)
		answers = p.south.posted(t.Context())
		require.Len(t, answers, 4, "who asks under another message id is answered again")
		for _, l := range answers {
			for range 2 {
				require.NoError(t, p.deliver(l))
			}
		}
		p.north.requireTransfer(good.GetTransferId(), credited, "")
		p.north.requireTransfer(bad.GetTransferId(), refunded, bank.ReasonAccountClosed)
		p.north.requireBalance("ann", 70)
		p.south.requireBalance("bob", 30)
	})
}

// All deliveries of both messages at once.
func TestDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	eachLocking(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		p.south.open("bob", 0)
		p.south.open("closed", 0)
		p.south.close("closed")
		for i := range int64(4) {
			req := p.north.request(10 + i)
			if i%2 == 1 {
				req.ToAccountId = "closed"
			}
			p.north.transfer(req)
		}
		flood := func(letters []letter) {
			var all sync.WaitGroup
			for _, l := range letters {
				for i := range 4 {
					l := l
					if i%2 == 1 {
						l = l.renamed()
					}
					all.Go(func() {
						if err := p.deliver(l); err != nil {
							t.Errorf("%v", err)
						}
					})
				}
			}
			all.Wait()
		}
		flood(p.north.posted(t.Context()))
		flood(p.south.posted(t.Context()))
		p.settle()
		p.north.requireBalance("ann", 100-10-12)
		p.south.requireBalance("bob", 10+12)
		require.Zero(t, p.north.unfinished(""))
		require.Zero(t, p.south.unfinished(""))
	})
}

func TestWhatABankDoesNotBelieveIsADeadLetter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		p.south.open("bob", 0)
		transfer := p.north.transfer(p.north.request(30))
		id := transfer.GetTransferId()
		p.settle()
		asks := func(change func(*pb.TransferSent)) letter {
			m := &pb.TransferSent{TransferId: id, FromBank: "north", FromAccountId: "ann", ToAccountId: "bob", Amount: eur(30)}
			change(m)
			return write(t, event.TopicTransfer("south"), m)
		}
		answers := func(change func(*pb.TransferSettled)) letter {
			m := &pb.TransferSettled{TransferId: id, By: "south", Credited: true}
			change(m)
			return write(t, event.TopicSettled("north"), m)
		}
		for name, c := range map[string]struct {
			letter
			text string
		}{
			"more than was booked":   {asks(func(m *pb.TransferSent) { m.Amount = eur(31) }), "told otherwise"},
			"for another account":    {asks(func(m *pb.TransferSent) { m.ToAccountId = "eve" }), "told otherwise"},
			"in another currency":    {asks(func(m *pb.TransferSent) { m.Amount.Currency = "USD" }), "told otherwise"},
			"from an unknown bank":   {asks(func(m *pb.TransferSent) { m.FromBank = "west" }), "does not know"},
			"negative":               {asks(func(m *pb.TransferSent) { m.Amount = eur(-30) }), "amount must be positive"},
			"no message":             {letter{event.TopicTransfer("south"), message.NewMessage(uuid.NewString(), []byte("{"))}, "is no tcckit.bank.v1.TransferSent"},
			"not sent":               {answers(func(m *pb.TransferSettled) { m.TransferId = "none" }), "has not sent"},
			"by another bank":        {answers(func(m *pb.TransferSettled) { m.By = "west" }), "was sent to bank south"},
			"refused, once credited": {answers(func(m *pb.TransferSettled) { m.Credited, m.Reason = false, "X" }), "now answers otherwise"},
			"no answer":              {letter{event.TopicSettled("north"), message.NewMessage(uuid.NewString(), nil)}, "is no tcckit.bank.v1.TransferSettled"},
		} {
			require.NoError(t, p.deliver(c.letter), name)
			b := p.north
			if strings.HasSuffix(c.topic, "south") {
				b = p.south
			}
			b.requireDead(c.letter, c.text)
		}
		p.north.requireBalance("ann", 70)
		p.south.requireBalance("bob", 30)
		p.north.requireTransfer(id, credited, "")
		require.Empty(t, p.south.posted(t.Context()))
	})
}

func TestAReasonThatIsNoneIsNotStored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		for i, reason := range []string{"", "not\x00a\x01reason", strings.Repeat("X", 65), "näh"} {
			transfer := p.north.transfer(p.north.request(int64(i) + 1))
			settled := &pb.TransferSettled{TransferId: transfer.GetTransferId(), By: "south", Reason: reason}
			require.NoError(t, p.deliver(write(t, event.TopicSettled("north"), settled)))
			p.north.requireTransfer(transfer.GetTransferId(), refunded, "UNKNOWN_REASON")
		}
		p.north.requireBalance("ann", 100)
	})
}

// A refund that cannot be booked keeps the transfer as it is, and is booked when
// the letter is replayed after the repair.
func TestARefundThatFailsIsReplayed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		transfer := p.north.transfer(p.north.request(30))
		for _, l := range p.north.posted(t.Context()) {
			require.NoError(t, p.deliver(l))
		}
		answer := p.south.posted(t.Context())[0]
		_, err := p.north.db.Exec(t.Context(), "UPDATE account SET account_id = 'lost' WHERE account_id = 'ann'")
		require.NoError(t, err)
		require.NoError(t, p.deliver(answer))
		p.north.requireDead(answer, "account ann is gone")
		p.north.requireTransfer(transfer.GetTransferId(), sent, "")

		_, err = p.north.db.Exec(t.Context(), "UPDATE account SET account_id = 'ann' WHERE account_id = 'lost'")
		require.NoError(t, err)
		p.north.replay(answer)
		p.north.requireTransfer(transfer.GetTransferId(), refunded, bank.ReasonUnknownAccount)
		p.north.requireBalance("ann", 100)
	})
}

// A bank whose database was set back to before a transfer sends it again under
// the same id, which the other bank has booked.
func TestASourceThatForgotATransferSendsItOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		p.south.open("bob", 0)
		first := p.north.transfer(p.north.request(30))
		p.settle()
		_, err := p.north.db.Exec(t.Context(), "DELETE FROM transfer")
		require.NoError(t, err)
		_, err = p.north.db.Exec(t.Context(), "UPDATE account SET balance = 100")
		require.NoError(t, err)
		again := p.north.transfer(p.north.request(30))
		require.Equal(t, first.GetTransferId(), again.GetTransferId())
		p.settle()
		p.north.requireTransfer(again.GetTransferId(), credited, "")
		p.north.requireBalance("ann", 70)
		p.south.requireBalance("bob", 30)
	})
}

// replay has a dead letter handled again.
func (b *branch) replay(l letter) {
	b.t.Helper()
	ctx := b.t.Context()
	consumer := "bank-" + b.name + "-settle"
	n, err := inbox.Replay(ctx, b.db.SQL(), messaging.Dialect(b.db.Dialect()), consumer, l.UUID)
	require.NoError(b.t, err)
	require.Equal(b.t, 1, n)
	b.runUntil(func() bool { return b.unfinished(l.UUID).State == 0 })
}
