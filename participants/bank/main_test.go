package bank_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/participants/bank"
)

func TestMain(m *testing.M) {
	// The client of RocketMQ leaves its own goroutines behind, see the tests of
	// messaging/rocketmq.
	const client = "github.com/apache/rocketmq-client-go/v2/"
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		goleak.IgnoreAnyFunction(client+"primitive.WithRecover"),
		goleak.IgnoreAnyFunction(client+"consumer.(*defaultPullConsumer).pullMessage"),
		goleak.IgnoreAnyFunction(client+"internal.(*rmqClient).RebalanceImmediately"),
	)
}

// branch is a bank behind a real server, a client of it, and its inboxes.
type branch struct {
	pb.BankServiceClient
	t       testing.TB
	name    string
	peer    string
	db      *database.DB
	outbox  *outbox.Outbox
	sender  *faultySender
	inboxes map[string]*inbox.Inbox // by topic
	read    int64                   // how far the outbox was read
}

// pair is two banks that know each other.
type pair struct{ north, south *branch }

// each runs a test of two banks on SQLite and MySQL.
func each(t *testing.T, test func(t *testing.T, p *pair)) {
	t.Helper()
	eachOf(t, []databasetest.Kind{databasetest.SQLite, databasetest.MySQL}, test)
}

// eachLocking runs a test in which locks matter on each kind of database.
func eachLocking(t *testing.T, test func(t *testing.T, p *pair)) {
	t.Helper()
	eachOf(t, databasetest.Kinds(), test)
}

func eachOf(t *testing.T, kinds []databasetest.Kind, test func(t *testing.T, p *pair)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, newPair(t, kind))
		})
	}
}

func newPair(t testing.TB, kind databasetest.Kind) *pair {
	t.Helper()
	return &pair{north: newBranch(t, kind, "north", "south"), south: newBranch(t, kind, "south", "north")}
}

func newBranch(t testing.TB, kind databasetest.Kind, name, peer string) *branch {
	t.Helper()
	dsn := databasetest.DSN(t, kind)
	databasetest.Migrate(t, dsn, bank.Migrations())
	b := &branch{t: t, name: name, peer: peer, db: databasetest.Open(t, dsn, bank.Migrations()), inboxes: make(map[string]*inbox.Inbox)}
	var err error
	dialect := messaging.Dialect(b.db.Dialect())
	b.outbox, err = outbox.New(t.Context(), outbox.Config{DB: b.db.SQL(), Dialect: dialect, Logger: databasetest.Logger(t)})
	require.NoError(t, err)
	sender, err := bank.NewOutboxSender(b.db, b.outbox)
	require.NoError(t, err)
	b.sender = &faultySender{Sender: sender}
	service, err := bank.New(bank.Config{
		Name: name, Peers: []string{peer}, DB: b.db, Outbox: b.outbox, Sender: b.sender, Logger: databasetest.Logger(t),
	})
	require.NoError(t, err)
	for _, c := range service.Consumers() {
		b.inboxes[c.Topic], err = inbox.New(t.Context(), inbox.Config{
			DB: b.db.SQL(), Dialect: dialect, Consumer: c.Name, Topic: c.Topic, Handler: c.Handler, Logger: databasetest.Logger(t),
		})
		require.NoError(t, err)
	}
	l := rpctest.Listener(t)
	rpctest.Serve(t, l, rpc.ServerConfig{Logger: databasetest.Logger(t)}, service.Register)
	b.BankServiceClient = pb.NewBankServiceClient(rpctest.Dial(t, l.Addr().String()))
	return b
}

// letter is a message on its way.
type letter struct {
	topic string
	*message.Message
}

// posted reads what the bank has written to its outbox since the last time, in
// order: the test is relay and broker.
func (b *branch) posted(ctx context.Context) []letter {
	b.t.Helper()
	rows, err := b.db.SQL().QueryContext(ctx, "SELECT seq, id, topic, payload, metadata FROM outbox WHERE seq > ? ORDER BY seq", b.read)
	require.NoError(b.t, err)
	defer rows.Close()
	var found []letter
	for rows.Next() {
		l := letter{Message: message.NewMessage("", nil)}
		var payload, metadata []byte
		require.NoError(b.t, rows.Scan(&b.read, &l.UUID, &l.topic, &payload, &metadata))
		require.NoError(b.t, json.Unmarshal(metadata, &l.Metadata))
		l.Payload = payload
		found = append(found, l)
	}
	require.NoError(b.t, rows.Err())
	return found
}

// deliver hands a message to the bank that it is for.
func (p *pair) deliver(l letter) error {
	for _, b := range []*branch{p.north, p.south} {
		if box := b.inboxes[l.topic]; box != nil {
			return box.Handle(l.Copy())
		}
	}
	return nil
}

// settle delivers what is posted until there is nothing more.
func (p *pair) settle() {
	p.north.t.Helper()
	for {
		letters := append(p.north.posted(p.north.t.Context()), p.south.posted(p.north.t.Context())...)
		if len(letters) == 0 {
			return
		}
		for _, l := range letters {
			require.NoError(p.north.t, p.deliver(l))
		}
	}
}

func eur(n int64) *commonpb.Money { return &commonpb.Money{Amount: n, Currency: "EUR"} }

// open opens an account in EUR.
func (b *branch) open(id string, balance int64) {
	b.t.Helper()
	_, err := b.OpenAccount(b.t.Context(), &pb.OpenAccountRequest{RequestId: "open-" + id, AccountId: id, Balance: eur(balance)})
	require.NoError(b.t, err)
}

func (b *branch) close(id string) {
	b.t.Helper()
	_, err := b.CloseAccount(b.t.Context(), &pb.CloseAccountRequest{RequestId: "close-" + id, AccountId: id})
	require.NoError(b.t, err)
}

// request is a transfer of n EUR from ann to bob at the other bank.
func (b *branch) request(n int64) *pb.TransferRequest {
	return &pb.TransferRequest{RequestId: "t-" + strconv.FormatInt(n, 10), FromAccountId: "ann", ToBank: b.peer, ToAccountId: "bob", Amount: eur(n)}
}

// transfer sends a transfer.
func (b *branch) transfer(req *pb.TransferRequest) *pb.Transfer {
	b.t.Helper()
	resp, err := b.Transfer(b.t.Context(), req)
	require.NoError(b.t, err)
	return resp.GetTransfer()
}

func (b *branch) requireBalance(id string, want int64) {
	b.t.Helper()
	resp, err := b.GetAccount(b.t.Context(), &pb.GetAccountRequest{AccountId: id})
	require.NoError(b.t, err)
	require.Equal(b.t, want, resp.GetAccount().GetBalance().GetAmount(), "balance of %s at %s", id, b.name)
}

// requireTransfer requires where a transfer stands.
func (b *branch) requireTransfer(id string, status pb.TransferStatus, reason string) {
	b.t.Helper()
	resp, err := b.GetTransfer(b.t.Context(), &pb.GetTransferRequest{TransferId: id})
	require.NoError(b.t, err)
	require.Equal(b.t, status, resp.GetTransfer().GetStatus())
	require.Equal(b.t, reason, resp.GetTransfer().GetReason())
}

// requireDead requires a message to be given up, for a reason that holds a
// text, under the consumer of its topic.
func (b *branch) requireDead(l letter, text string) {
	b.t.Helper()
	row := b.unfinished(l.UUID)
	require.Equal(b.t, inbox.Dead, row.State)
	require.Contains(b.t, row.LastError, text)
}

// unfinished is the row of a message that is parked or dead, the zero value if
// there is none; of any message if id is empty.
func (b *branch) unfinished(id string) inbox.Row {
	b.t.Helper()
	rows, err := inbox.List(b.t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), inbox.ListOptions{})
	require.NoError(b.t, err)
	for _, row := range rows {
		if id == "" || row.MessageID == id {
			return row
		}
	}
	return inbox.Row{}
}

// runUntil runs the bank's inboxes until done returns true, a while at most.
func (b *branch) runUntil(done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	var all sync.WaitGroup
	for _, box := range b.inboxes {
		all.Go(func() { box.Run(ctx) })
	}
	defer all.Wait()
	defer cancel()
	require.Eventually(b.t, done, 20*time.Second, 5*time.Millisecond)
}
