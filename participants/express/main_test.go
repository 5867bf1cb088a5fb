package express_test

import (
	"encoding/json"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/participants/express"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is the service behind a real server, a client of it, and its inbox.
// The test is stock, relay and broker.
type bundle struct {
	pb.ExpressServiceClient
	t       testing.TB
	db      *database.DB
	dialect messaging.Dialect
	outbox  *outbox.Outbox
	inbox   *inbox.Inbox
}

// each runs a test of the service on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	databasetest.Each(t, express.Migrations(), func(t *testing.T, db *database.DB) {
		b := &bundle{t: t, db: db, dialect: messaging.Dialect(db.Dialect())}
		var err error
		b.outbox, err = outbox.New(t.Context(), outbox.Config{DB: db.SQL(), Dialect: b.dialect, ResultTopic: event.TopicExpressResult, Logger: databasetest.Logger(t)})
		require.NoError(t, err)
		service, err := express.New(express.Config{DB: db, Outbox: b.outbox})
		require.NoError(t, err)
		consumers := service.Consumers()
		require.Len(t, consumers, 1)
		c := consumers[0]
		require.Equal(t, event.TopicExpressResult, c.Topic)
		b.inbox, err = inbox.New(t.Context(), inbox.Config{DB: db.SQL(), Dialect: b.dialect, Consumer: c.Name, Topic: c.Topic, Handler: c.Handler, Logger: databasetest.Logger(t)})
		require.NoError(t, err)
		l := rpctest.Listener(t)
		rpctest.Serve(t, l, rpc.ServerConfig{Logger: databasetest.Logger(t)}, service.Register)
		b.ExpressServiceClient = pb.NewExpressServiceClient(rpctest.Dial(t, l.Addr().String()))
		test(t, b)
	})
}

// request is an order of ann's for two items.
func request(id string) *pb.PlaceExpressOrderRequest {
	return &pb.PlaceExpressOrderRequest{
		RequestId: id, AccountId: "ann",
		Lines: []*orderpb.LineItem{{Sku: "pear", Quantity: 2}, {Sku: "apple", Quantity: 3}},
	}
}

func (b *bundle) place(req *pb.PlaceExpressOrderRequest) *pb.ExpressOrder {
	b.t.Helper()
	resp, err := b.PlaceExpressOrder(b.t.Context(), req)
	require.NoError(b.t, err)
	return resp.GetOrder()
}

// posted reads the messages of a topic that are in the outbox, in order.
func (b *bundle) posted(topic string) []*message.Message {
	b.t.Helper()
	rows, err := b.db.SQL().QueryContext(b.t.Context(), "SELECT id, payload, metadata FROM outbox WHERE topic = ? ORDER BY seq", topic)
	require.NoError(b.t, err)
	defer rows.Close()
	var found []*message.Message
	for rows.Next() {
		msg := message.NewMessage("", nil)
		var payload, metadata []byte
		require.NoError(b.t, rows.Scan(&msg.UUID, &payload, &metadata))
		require.NoError(b.t, json.Unmarshal(metadata, &msg.Metadata))
		msg.Payload = payload
		found = append(found, msg)
	}
	require.NoError(b.t, rows.Err())
	return found
}

// result is what stock answers to a message, as its relay publishes it. It goes
// through an outbox, for only that may write a result's metadata.
func (b *bundle) result(asked *message.Message, failed bool, reason string) *message.Message {
	b.t.Helper()
	m, ok := outbox.ResultOf(asked, failed, reason)
	require.True(b.t, ok)
	require.Equal(b.t, event.TopicExpressResult, m.Topic)
	m.ID = uuid.NewString()
	tx, err := b.db.SQL().BeginTx(b.t.Context(), nil)
	require.NoError(b.t, err)
	require.NoError(b.t, b.outbox.Write(b.t.Context(), tx, m))
	require.NoError(b.t, tx.Commit())
	for _, msg := range b.posted(m.Topic) {
		if msg.UUID == m.ID {
			return msg
		}
	}
	require.Fail(b.t, "the result is not in the outbox")
	return nil
}

func (b *bundle) requireOrder(id string, status pb.ExpressOrderStatus, reason string) {
	b.t.Helper()
	resp, err := b.GetExpressOrder(b.t.Context(), &pb.GetExpressOrderRequest{OrderId: id})
	require.NoError(b.t, err)
	require.Equal(b.t, status, resp.GetOrder().GetStatus())
	require.Equal(b.t, reason, resp.GetOrder().GetReason())
}

// asked is the outbox's row of an order's message.
func (b *bundle) asked(id string) outbox.Row {
	b.t.Helper()
	row, _, err := b.outbox.Get(b.t.Context(), id)
	require.NoError(b.t, err)
	return row
}

// requireAsked requires the state of an order's message.
func (b *bundle) requireAsked(id string, state outbox.State) {
	b.t.Helper()
	require.Equal(b.t, state, b.asked(id).State)
}

// unfinished are the results that are parked or dead.
func (b *bundle) unfinished() []inbox.Row {
	b.t.Helper()
	rows, err := inbox.List(b.t.Context(), b.db.SQL(), b.dialect, inbox.ListOptions{})
	require.NoError(b.t, err)
	return rows
}
