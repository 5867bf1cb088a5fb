package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/remoting"
	"github.com/tcckit/tcckit/internal/testserver"
)

// The services that follow others by message.
const (
	cart     = "cart"
	dispatch = "dispatch"
	express  = "express"
)

// relayLease is how long the messages of a relay that was killed wait for another one.
const relayLease = "5s"

// followedShop is a direct shop with those services, and a RocketMQ of its own that acknowledges what is on
// its disk. DTM brings the Confirms of orders to a second order service, which therefore writes their messages:
//
//	client -- order -- Try --> account, stock, order
//	            |
//	           DTM --- Confirm --> relay -- RocketMQ --> followers: cart and dispatch in one process
//	client -- express -- RocketMQ --> stock -- RocketMQ --> express
//
// The relay may die without a client noticing, and order, which writes no message, publishes those that it
// leaves behind.
type followedShop struct {
	*shop
	broker                    *testserver.RocketMQServer
	relay, followers, express *service

	carts     cartpb.CartServiceClient
	shipments dispatchpb.DispatchServiceClient
	expresses expresspb.ExpressServiceClient
}

func newFollowedShop(t *testing.T, store dtmserver.Store) *followedShop {
	t.Helper()
	broker := testserver.StartRocketMQ(t, map[string]string{"flushDiskType": "SYNC_FLUSH"})
	dbs := databases{cart: newDatabase(t), dispatch: newDatabase(t), express: newDatabase(t)} // to be gone after the services
	s := &followedShop{shop: buildShop(t, store, newDatabase, true), broker: broker}
	maps.Copy(s.dbs, dbs)
	messages := []string{"--rocketmq=" + broker.NameServer(), "--relay-lease=" + relayLease}
	taker, taken := s.services[order], s.services[stock]

	s.relay = newService(t, order, "relay", s.dir)
	taker.args = slices.Concat(taker.args, messages, []string{"--order-target=" + s.relay.internal})
	s.relay.args, s.relay.env = taker.args, taker.env
	taken.args = slices.Concat(taken.args, messages)
	s.express = newService(t, express, express, s.dir)
	s.express.args = slices.Concat(messages, []string{"--keys-file=" + s.keyFile})
	s.express.env = []string{databaseOf(express, s.dbs[express].cfg)}
	s.followers = newService(t, cart, "followers", s.dir)
	s.followers.also = []string{dispatch}
	s.followers.args = slices.Concat(messages, []string{"--keys-file=" + s.keyFile, "--order-addr=" + taker.internal})
	s.followers.env = []string{databaseOf(cart, s.dbs[cart].cfg), databaseOf(dispatch, s.dbs[dispatch].cfg)}

	s.carts = cartpb.NewCartServiceClient(dial(t, s.followers.internal))
	s.shipments = dispatchpb.NewDispatchServiceClient(dial(t, s.followers.internal))
	s.expresses = expresspb.NewExpressServiceClient(dial(t, s.express.internal))
	for _, name := range services() {
		s.services[name].start(t)
	}
	for _, one := range []*service{s.relay, s.followers, s.express} {
		one.start(t)
		t.Cleanup(func() { s.end(t, one) })
	}
	return s
}

// published counts what the broker has ever taken of a topic, by its name at the broker.
func (s *followedShop) published(t testing.TB, topic string) int64 {
	t.Helper()
	const (
		codeMaxOffset = 30
		queues        = 8 // more than a topic has; of the others there is nothing
	)
	var n int64
	for queue := range queues {
		response, err := remoting.Call(bounded(t), s.broker.Broker(), remoting.Command{
			Code: codeMaxOffset, Fields: map[string]string{"topic": topic, "queueId": strconv.Itoa(queue)},
		})
		require.NoError(t, err)
		offset, err := strconv.ParseInt(response.Fields["offset"], 10, 64)
		require.NoError(t, err)
		n += offset
	}
	return n
}

// unsettledMessages says what is under way in the outboxes and inboxes, or given up.
func (s *followedShop) unsettledMessages(ctx context.Context) (errs []error) {
	look := func(service, what, query string) {
		n, err := s.dbs[service].number(ctx, query)
		if err == nil && n > 0 {
			err = fmt.Errorf("%s has %d %s", service, n, what)
		}
		errs = append(errs, err)
	}
	for service := range s.dbs {
		look(service, "messages NEW", "SELECT COUNT(*) FROM outbox WHERE state = 'NEW'")
		look(service, "messages FAILED", "SELECT COUNT(*) FROM outbox WHERE state = 'FAILED'")
		look(service, "messages without their result", "SELECT COUNT(*) FROM outbox WHERE state = 'SENT' AND expects_result = 1")
		look(service, "messages PARKED", "SELECT COUNT(*) FROM inbox WHERE state = 2")
		look(service, "dead letters", "SELECT COUNT(*) FROM inbox WHERE state = 3")
	}
	return errs
}
