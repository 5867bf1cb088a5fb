package e2e_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	bankpb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/testserver"
)

// The banks.
const (
	north = "north"
	south = "south"
)

func bankOf(name string) string { return "bank-" + name }

// rollingShop is a shop with two replicas of each service and of DTM, with mutual TLS and the shared RocketMQ. Who
// calls spreads its calls over both addresses; DTM, which is told one address of a participant, and who asks DTM
// by HTTP, go through a balancer.
type rollingShop struct {
	*shop
	replicas map[string][]*service
	dtms     []*dtmserver.Server

	carts     cartpb.CartServiceClient
	expresses expresspb.ExpressServiceClient
	banks     map[string]bankpb.BankServiceClient
}

func rollingServices() []string {
	return []string{order, account, stock, cart, dispatch, express, bankOf(north), bankOf(south)}
}

func newRollingShop(t *testing.T, store dtmserver.Store) *rollingShop {
	t.Helper()
	s := &rollingShop{
		shop:     &shop{services: make(map[string]*service), dbs: databases{}, secure: newSecurity(t, rollingServices()...)},
		replicas: make(map[string][]*service),
	}
	s.secure.clients = []string{order, ops}
	for _, name := range rollingServices() {
		s.dbs[name] = newDatabase(t)
	}
	s.makeDir(t)
	s.makeKeys(t)
	for _, label := range []string{"dtm-1", "dtm-2"} {
		s.dtms = append(s.dtms, s.startDTM(t, label, store))
	}
	s.dtm = s.dtms[0]
	for _, name := range rollingServices() {
		for _, label := range []string{name + "-1", name + "-2"} {
			s.replicas[name] = append(s.replicas[name], newService(t, name, label, s.dir))
		}
	}
	s.wire(t)
	for _, name := range rollingServices() {
		for _, one := range s.replicas[name] {
			one.start(t)
			t.Cleanup(func() { s.end(t, one) })
		}
	}
	return s
}

// wire tells each who the others are.
func (s *rollingShop) wire(t *testing.T) {
	t.Helper()
	messages := []string{"--rocketmq=" + testserver.RocketMQ(t), "--rocketmq-prefix=rolling-" + strings.ToLower(rand.Text()[:10]) + "-"}
	common := slices.Concat(messages, []string{"--keys-file=" + s.keyFile, "--drain-delay=200ms"})
	http := newBalancer(t, strings.TrimPrefix(s.dtms[0].HTTPURL(), "https://"), strings.TrimPrefix(s.dtms[1].HTTPURL(), "https://"))
	initiator := []string{"--dtm-grpc=" + s.dtms[0].GRPCAddr() + "," + s.dtms[1].GRPCAddr(), "--dtm-http=https://" + http.addr, "--retry-interval=1s"}
	for _, name := range services() {
		initiator = append(initiator, "--"+name+"-addr="+s.internal(name), "--"+name+"-target="+newBalancer(t, strings.Split(s.internal(name), ",")...).addr)
	}
	further := map[string][]string{order: initiator, dispatch: {"--order-addr=" + s.internal(order)}}
	for name, both := range s.replicas {
		for _, one := range both {
			one.args = slices.Concat(common, s.secure.as(name), further[name])
			one.env = []string{databaseOf(name, s.dbs[name].cfg)}
		}
	}
	s.accounts = accountpb.NewAccountServiceClient(s.spread(t, s.internal(account)))
	s.stocks = stockpb.NewStockServiceClient(s.spread(t, s.internal(stock)))
	s.carts = cartpb.NewCartServiceClient(s.spread(t, s.internal(cart)))
	s.expresses = expresspb.NewExpressServiceClient(s.spread(t, s.internal(express)))
	s.banks = make(map[string]bankpb.BankServiceClient)
	for _, name := range []string{north, south} {
		s.banks[name] = bankpb.NewBankServiceClient(s.spread(t, s.internal(bankOf(name))))
	}
}

// internal are the internal addresses of a service's replicas.
func (s *rollingShop) internal(name string) string {
	return s.replicas[name][0].internal + "," + s.replicas[name][1].internal
}

// spread is a connection to all of the addresses.
func (s *rollingShop) spread(t *testing.T, addrs string) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(addrs, rpc.DialConfig{Credentials: s.secure.client()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// public is a connection to the order service, as a client from outside has it.
func (s *rollingShop) public(t *testing.T) orderpb.OrderServiceClient {
	t.Helper()
	return orderpb.NewOrderServiceClient(s.spread(t, s.replicas[order][0].public+","+s.replicas[order][1].public))
}

// restarts are the orderly restarts of all replicas, one after another, by name.
func (s *rollingShop) restarts() (names []string, all []func(t *testing.T, away func())) {
	add := func(name string, stop func(context.Context) error, start func(*testing.T)) {
		names = append(names, name)
		all = append(all, func(t *testing.T, away func()) {
			t.Helper()
			require.NoError(t, stop(bounded(t)), name)
			away()
			start(t)
		})
	}
	for _, name := range rollingServices() {
		for i, one := range s.replicas[name] {
			add(fmt.Sprintf("%s-%d", name, i+1), one.stop, func(t *testing.T) { one.start(t) })
		}
	}
	for i, one := range s.dtms {
		add(fmt.Sprintf("dtm-%d", i+1), one.Stop, func(t *testing.T) { require.NoError(t, one.Restart(bounded(t))) })
	}
	return names, all
}
