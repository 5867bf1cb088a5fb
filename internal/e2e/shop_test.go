package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// shop is the shop: three services as processes, each with a MySQL database of its own, and a DTM server.
// Unless it is direct, a relay stands on each way between them that gRPC takes, and a proxy between each
// service and its database:
//
//	client -- front -- order -- relays[dtm] -- DTM
//	                     |                      |
//	                     +--- relays[order, account, stock] --- order, account, stock
type shop struct {
	services map[string]*service
	dbs      databases
	dtm      *dtmserver.Server
	relays   map[string]*relay            // by who is behind it; nil in a direct shop
	wires    map[string]*testserver.Proxy // to the services' databases; nil in a direct shop
	front    *relay                       // to PlaceOrder
	keyFile  string
	keys     *tcc.Keyring // what signs in this shop
	secure   *security    // nil: there is no TLS
	dir      string

	orders   orderpb.OrderServiceClient // through the front
	accounts accountpb.AccountServiceClient
	stocks   stockpb.StockServiceClient

	customers atomic.Int64
}

// dtm is who is behind the relay between order and DTM.
const dtm = "dtm"

func newShop(t *testing.T, store dtmserver.Store) *shop {
	t.Helper()
	return openShop(t, store, newDatabase, false)
}

// newDirectShop has neither relays nor proxies.
func newDirectShop(t *testing.T, store dtmserver.Store) *shop {
	t.Helper()
	return openShop(t, store, newDatabase, true)
}

func openShop(t *testing.T, store dtmserver.Store, database func(*testing.T) *database, direct bool) *shop {
	t.Helper()
	s := buildShop(t, store, database, direct)
	for _, name := range services() {
		s.services[name].start(t)
	}
	return s
}

// buildShop is openShop without the start of its services.
func buildShop(t *testing.T, store dtmserver.Store, database func(*testing.T) *database, direct bool) *shop {
	t.Helper()
	s := &shop{services: make(map[string]*service), dbs: databases{}}
	s.build(t, store, database, direct)
	return s
}

func (s *shop) build(t *testing.T, store dtmserver.Store, database func(*testing.T) *database, direct bool) {
	t.Helper()
	for _, name := range services() {
		s.dbs[name] = database(t)
	}
	s.makeDir(t)
	s.makeKeys(t)
	s.dtm = s.startDTM(t, dtm, store)
	s.lay(t, direct)
	for _, name := range services() {
		s.services[name].args = s.arguments(name)
	}
	t.Cleanup(func() { s.close(t) })
}

// makeDir makes the folder of logs and keys.
func (s *shop) makeDir(t *testing.T) {
	t.Helper()
	var err error
	s.dir, err = os.MkdirTemp("", "tcckit-e2e-") // not t.TempDir: children write there until they are gone
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs are in %s", s.dir)
			return
		}
		require.NoError(t, os.RemoveAll(s.dir))
	})
}

// makeKeys makes a signing key.
func (s *shop) makeKeys(t *testing.T) {
	t.Helper()
	key := make([]byte, tcc.MinKeyLen)
	_, _ = rand.Read(key) // never fails
	s.keyFile = filepath.Join(s.dir, "keys")
	require.NoError(t, os.WriteFile(s.keyFile, fmt.Appendf(nil, "e2e:%s\n", hex.EncodeToString(key)), 0o600))
	var err error
	s.keys, err = tcc.NewKeyring("e2e", map[string][]byte{"e2e": key})
	require.NoError(t, err)
}

// startDTM starts a DTM server; label tells it from others.
func (s *shop) startDTM(t *testing.T, label string, store dtmserver.Store) *dtmserver.Server {
	t.Helper()
	server, err := dtmserver.Start(t.Context(), dtmserver.Config{
		Dir: filepath.Join(s.dir, label), Store: store, TLS: s.secure.dtm(), Env: append([]string{"TRANS_CRON_INTERVAL=1"}, s.secure.dtmEnvironment()...),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Kill()) })
	return server
}

// lay chooses addresses and lays the ways between the processes.
func (s *shop) lay(t *testing.T, direct bool) {
	t.Helper()
	for _, name := range services() {
		s.services[name] = newService(t, name, name, s.dir)
	}
	public := s.services[order].public
	if !direct {
		s.relays, s.wires = make(map[string]*relay), make(map[string]*testserver.Proxy)
		for _, name := range services() {
			s.relays[name] = newRelay(t, s.services[name].internal)
			s.wires[name] = testserver.NewProxy(t, s.dbs[name].cfg.Addr)
		}
		s.relays[dtm] = newRelay(t, s.dtm.GRPCAddr())
		for _, r := range s.relays {
			r.accountOf = func(c passing) string { return s.accountOf(t.Context(), c) }
		}
		s.front = newRelay(t, public)
		public = s.front.addr
	}
	for _, name := range services() {
		dsn := s.dbs[name].cfg.Clone()
		if wire := s.wires[name]; wire != nil {
			dsn.Addr = wire.Addr()
		}
		s.services[name].env = []string{databaseOf(name, dsn)}
	}
	s.orders = orderpb.NewOrderServiceClient(dialBy(t, public, s.secure.client()))
	s.accounts = accountpb.NewAccountServiceClient(dialBy(t, s.services[account].internal, s.secure.client()))
	s.stocks = stockpb.NewStockServiceClient(dialBy(t, s.services[stock].internal, s.secure.client()))
}

// databaseOf tells a process where a service's database is.
func databaseOf(service string, dsn *mysql.Config) string {
	return "TCCKIT_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_DB=" + dsn.FormatDSN()
}

// accountOf finds the account whose order a call is for by its gid, which the order service stores before it
// uses it. DTM gets the gid in the first field of all its messages.
func (s *shop) accountOf(ctx context.Context, c passing) string {
	gid := c.gid
	if gid == "" {
		var first wrapperspb.StringValue
		if err := proto.Unmarshal(c.request, &first); err != nil {
			return ""
		}
		gid = first.GetValue()
	}
	var account string
	if err := s.dbs[order].db.QueryRowContext(ctx, "SELECT account_id FROM order_request WHERE gid = ?", gid).Scan(&account); err != nil {
		return "" // then it is none of the test's
	}
	return account
}

// arguments is the command line of a service.
func (s *shop) arguments(name string) []string {
	args := append([]string{"--keys-file=" + s.keyFile}, s.secure.arguments(name)...)
	if name != order {
		return args
	}
	args = append(args, "--dtm-grpc="+s.way(dtm, s.dtm.GRPCAddr()), "--dtm-http="+s.dtm.HTTPURL(), "--retry-interval=1s")
	for _, other := range services() {
		addr := s.way(other, s.services[other].internal)
		args = append(args, "--"+other+"-addr="+addr, "--"+other+"-target="+addr)
	}
	return args
}

// way is where to reach somebody.
func (s *shop) way(name, addr string) string {
	if r := s.relays[name]; r != nil {
		return r.addr
	}
	return addr
}

// dial connects a client of the test; it does not wait for a server that is away.
func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	return dialBy(t, addr, insecure.NewCredentials())
}

func dialBy(t testing.TB, addr string, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds), grpc.WithNoProxy(),
		grpc.WithConnectParams(quickly()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// another starts another process of a service on the same database.
func (s *shop) another(t *testing.T, name string) *service {
	t.Helper()
	second := newService(t, name, name+"-2", s.dir)
	second.args, second.env = s.services[name].args, s.services[name].env
	second.start(t)
	t.Cleanup(func() { s.end(t, second) })
	return second
}

// close ends all services in an orderly way and reads their logs.
func (s *shop) close(t *testing.T) {
	for _, name := range services() {
		if s.services[name].process != nil {
			s.end(t, s.services[name])
		}
	}
}

func (s *shop) end(t *testing.T, one *service) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), bound)
	defer cancel()
	if err := one.stop(ctx); err != nil {
		t.Errorf("%s did not end as it should: %v", one.name, err)
	}
	log, err := os.ReadFile(one.logFile)
	require.NoError(t, err)
	for line := range strings.Lines(string(log)) {
		if regexp.MustCompile(`WARNING: DATA RACE|^panic: |^fatal error: |panicked|"outcome":"conflict"`).MatchString(line) {
			t.Errorf("%s wrote to its log: %s", one.name, line)
		}
	}
}
