package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// TestLostOrder has the order database lose orders before their messages are handled, which restores them, and
// sends messages that nobody should believe, which are given up.
func TestLostOrder(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newFollowedShop(t, store.open(t))
		t.Run("is restored once", s.lostOrderIsRestored)
		t.Run("is not restored from another order's message", s.lostOrderIsNotForged)
		t.Run("that never was", s.forgedOrder)
	})
}

// lostOrderIsRestored has dispatch find the message of a lost order, twice over, when it comes back.
func (s *followedShop) lostOrderIsRestored(t *testing.T) {
	s.followers.kill(t)
	buyer := s.customer(t, confirmed)
	made := buyer.again(t)
	s.settled(t)
	original, announced := s.announced(t, made.GetOrderId())
	s.lose(t, made.GetOrderId())
	again := s.announce(t, announced)

	s.followers.start(t)
	s.handled(t, original, again)
	s.shipped(t, made.GetOrderId(), 1)
	require.True(t, proto.Equal(made, buyer.again(t)))
	s.settled(t)
	buyer.done(t)
	orders, err := s.dbs[order].number(bounded(t), "SELECT COUNT(*) FROM orders WHERE account_id = ?", buyer.account)
	require.NoError(t, err)
	require.EqualValues(t, 1, orders)
	log, err := os.ReadFile(s.services[order].logFile)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "was made again from its message"))
}

// lostOrderIsNotForged sends a message about a lost order that asks for more than was paid, and then what it
// should have said.
func (s *followedShop) lostOrderIsNotForged(t *testing.T) {
	buyer := s.customer(t, confirmed)
	made := buyer.again(t)
	original, announced := s.announced(t, made.GetOrderId())
	s.handled(t, original)
	s.lose(t, made.GetOrderId())
	forged := proto.CloneOf(announced)
	forged.Lines[0].Quantity += 5
	s.givenUp(t, s.announce(t, forged), "MESSAGE_DIFFERS")
	_, err := s.orders.GetOrder(bounded(t), &orderpb.GetOrderRequest{OrderId: made.GetOrderId()}, ready())
	require.Equal(t, codes.NotFound, status.Code(err), "%v", err)

	s.handled(t, s.announce(t, announced))
	s.shipped(t, made.GetOrderId(), 1)
	require.True(t, proto.Equal(made, buyer.again(t)))
	s.settled(t)
	buyer.done(t)
}

// forgedOrder sends a message about a transaction of which the coordinator knows nothing.
func (s *followedShop) forgedOrder(t *testing.T) {
	buyer := s.customer(t, confirmed)
	gid, err := uuid.NewV7()
	require.NoError(t, err)
	id := s.announce(t, &orderpb.OrderConfirmed{
		OrderId: gid.String(), RequestId: buyer.requestID, AccountId: buyer.account,
		Lines: []*orderpb.OrderLine{{Sku: buyer.sku, Quantity: 1, Price: money(1)}}, Total: money(1),
	})
	s.givenUp(t, id, "TRANSACTION_NOT_SUCCEEDED")
	s.shipped(t, gid.String(), 0)
	require.Zero(t, s.balance(t, buyer.account, buyer.deposited, buyer.sku, buyer.put))
}

// announced waits until the message of an order is published, and returns it.
func (s *followedShop) announced(t testing.TB, gid string) (id string, announced *orderpb.OrderConfirmed) {
	t.Helper()
	id, announced = event.ID(event.TopicOrderConfirmed, gid), &orderpb.OrderConfirmed{}
	var payload []byte
	eventually(t, "the order is announced", func(ctx context.Context) error {
		return s.dbs[order].db.QueryRowContext(ctx, "SELECT payload FROM outbox WHERE id = ? AND state = 'SENT'", id).Scan(&payload)
	})
	require.NoError(t, event.Decode(message.NewMessage(id, payload), announced))
	return id, announced
}

// announce has the order service's relays publish a message, under an id of its own.
func (s *followedShop) announce(t testing.TB, e *orderpb.OrderConfirmed) (id string) {
	t.Helper()
	payload, err := event.Encode(e)
	require.NoError(t, err)
	db := s.dbs[order].db
	o, err := outbox.New(t.Context(), outbox.Config{DB: db, Dialect: messaging.MySQL})
	require.NoError(t, err)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	id = uuid.NewString()
	require.NoError(t, o.Write(t.Context(), tx, outbox.Message{ID: id, Topic: event.TopicOrderConfirmed, Payload: payload}))
	require.NoError(t, tx.Commit())
	return id
}

// lose deletes all that the order database has of an order, but for the branch and the message.
func (s *followedShop) lose(t testing.TB, gid string) {
	t.Helper()
	for _, table := range []string{"orders", "order_line", "order_request"} {
		result, err := s.dbs[order].db.ExecContext(t.Context(), "DELETE FROM "+table+" WHERE gid = ?", gid)
		require.NoError(t, err)
		n, err := result.RowsAffected()
		require.NoError(t, err)
		require.EqualValues(t, 1, n, table)
	}
}

// handled waits until dispatch has handled messages.
func (s *followedShop) handled(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		s.inDispatch(t, id, "DONE")
	}
}

// inDispatch waits until a message's row in the inbox of dispatch says what has become of it, and returns why.
func (s *followedShop) inDispatch(t testing.TB, id, state string) (reason string) {
	t.Helper()
	number := map[string]int{"DONE": 1, "PARKED": 2, "DEAD": 3}
	eventually(t, "message "+id+" is "+state, func(ctx context.Context) error {
		var now int
		var last sql.NullString
		err := s.dbs[dispatch].db.QueryRowContext(ctx, "SELECT state, last_error FROM inbox WHERE consumer = 'dispatch' AND message_id = ?", id).Scan(&now, &last)
		if err == nil && now != number[state] {
			err = fmt.Errorf("its state is %d: %s", now, last.String)
		}
		reason = last.String
		return err
	})
	return reason
}

// givenUp waits until a message is a dead letter, and checks the reason where people look for it.
func (s *followedShop) givenUp(t testing.TB, id, reason string) {
	t.Helper()
	require.Contains(t, s.inDispatch(t, id, "DEAD"), reason)
	eventually(t, "the dead letters are published", func(ctx context.Context) error {
		dead, err := s.dbs[dispatch].number(ctx, "SELECT COUNT(*) FROM inbox WHERE state = 3")
		if sent := s.published(t, "dispatch_dead"); err == nil && sent < dead {
			err = fmt.Errorf("%d of %d are", sent, dead)
		}
		return err
	})
	out, err := exec.CommandContext(t.Context(), tcckit, "deadletter", "list", "--json", "--db", s.dbs[dispatch].cfg.FormatDSN()).Output()
	require.NoError(t, err)
	var listed []struct{ ID, Consumer, Reason string }
	require.NoError(t, json.Unmarshal(out, &listed))
	i := slices.IndexFunc(listed, func(l struct{ ID, Consumer, Reason string }) bool { return l.ID == id })
	require.GreaterOrEqual(t, i, 0, "%s", out)
	require.Equal(t, "dispatch", listed[i].Consumer)
	require.Contains(t, listed[i].Reason, reason)
}

// shipped checks how many shipments an order has.
func (s *followedShop) shipped(t testing.TB, gid string, want int64) {
	t.Helper()
	n, err := s.dbs[dispatch].number(bounded(t), "SELECT COUNT(*) FROM shipment WHERE order_id = ?", gid)
	require.NoError(t, err)
	require.Equal(t, want, n)
	_, err = s.shipments.GetShipment(bounded(t), &dispatchpb.GetShipmentRequest{OrderId: gid}, ready())
	if want == 0 {
		require.Equal(t, codes.NotFound, status.Code(err), "%v", err)
	} else {
		require.NoError(t, err)
	}
}
