package barrier_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/tcc"
)

const (
	tillTry = "/shop.Till/TryTake"
	testKey = "0123456789abcdef0123456789abcdef"
)

// till is a participant behind gRPC: Try takes one from free to held, Confirm
// moves it to spent, Cancel back to free.
type till struct {
	t    *testing.T
	db   *database.DB
	keys *tcc.Keyring
	addr string
	conn *grpc.ClientConn
}

func tillMigrations() fstest.MapFS {
	m := fstest.MapFS{}
	for _, d := range []string{"mysql", "sqlite"} {
		m[d+"/00002_till.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE IF NOT EXISTS till (id INTEGER PRIMARY KEY, free INTEGER NOT NULL, held INTEGER NOT NULL, spent INTEGER NOT NULL);\n")}
	}
	return m
}

// onEachTill runs a test on a till of each kind of database.
func onEachTill(t *testing.T, test func(t *testing.T, s *till)) {
	t.Helper()
	databasetest.Each(t, tillMigrations(), func(t *testing.T, db *database.DB) { test(t, openTill(t, db)) })
}

func openTill(t *testing.T, db *database.DB) *till {
	t.Helper()
	_, err := db.SQL().ExecContext(t.Context(), "INSERT INTO till (id, free, held, spent) VALUES (1, 1000, 0, 0)")
	require.NoError(t, err)
	ring, err := tcc.NewKeyring("k", map[string][]byte{"k": []byte(testKey)})
	require.NoError(t, err)
	s := &till{t: t, db: db, keys: ring}
	intercept, err := tcc.UnaryServerInterceptor(tcc.ServerConfig{Keys: ring, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	l := rpctest.Listener(t)
	server := grpc.NewServer(grpc.UnaryInterceptor(intercept))
	server.RegisterService(s.desc(), nil)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	s.addr = l.Addr().String()
	s.conn = rpctest.Dial(t, s.addr)
	return s
}

func (s *till) desc() *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: "shop.Till"}
	for name, handle := range map[string]grpc.UnaryHandler{"TryTake": s.try, "ConfirmTake": s.confirm, "CancelTake": s.cancel} {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: name,
			Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
				request := new(wrapperspb.StringValue)
				if err := decode(request); err != nil {
					return nil, err
				}
				return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: "/shop.Till/" + name}, handle)
			},
		})
	}
	return desc
}

func (s *till) try(ctx context.Context, req any) (any, error) {
	return barrier.Try(ctx, s.db.Barrier(), req.(proto.Message), func(_ context.Context, tx barrier.Tx) (*wrapperspb.StringValue, error) {
		tx.Queue(barrier.Stmt{Query: "UPDATE till SET free = free - 1, held = held + 1 WHERE id = 1", Rows: 1})
		return wrapperspb.String("taken"), nil
	})
}

func (s *till) confirm(ctx context.Context, req any) (any, error) {
	return s.finish(ctx, req, barrier.Confirm, "UPDATE till SET held = held - 1, spent = spent + 1 WHERE id = 1")
}

func (s *till) cancel(ctx context.Context, req any) (any, error) {
	return s.finish(ctx, req, barrier.Cancel, "UPDATE till SET held = held - 1, free = free + 1 WHERE id = 1")
}

func (s *till) finish(ctx context.Context, req any, phase func(context.Context, barrier.Store, func(context.Context, barrier.Tx) error) error, query string) (any, error) {
	b, _ := tcc.FromContext(ctx)
	if got, want := req.(*wrapperspb.StringValue).GetValue(), "request of "+b.GID; got != want {
		return nil, tcc.Invalidf("the request is %q, the Try's was %q", got, want)
	}
	return wrapperspb.String("done"), phase(ctx, s.db.Barrier(), func(_ context.Context, tx barrier.Tx) error {
		tx.Queue(barrier.Stmt{Query: query, Rows: 1})
		return nil
	})
}

// send delivers a phase of a branch as a coordinator would.
func (s *till) send(gid, id string, phase tcc.Phase) error {
	method := tillTry
	if phase != tcc.Try {
		var err error
		method, err = barrier.PhaseMethod(tillTry, phase)
		require.NoError(s.t, err)
	}
	ctx := tcc.Outgoing(context.WithoutCancel(s.t.Context()), tcc.Branch{GID: gid, ID: id, Phase: phase}, s.keys.Sign(gid, time.Now()))
	return s.conn.Invoke(ctx, method, wrapperspb.String("request of "+gid), new(wrapperspb.StringValue))
}

// stuck makes branches that are TRIED for two hours.
func (s *till) stuck(gids ...string) {
	s.t.Helper()
	for _, gid := range gids {
		require.NoError(s.t, s.send(gid, "01", tcc.Try))
		query := "UPDATE sub_transaction_barrier SET updated_at = updated_at - INTERVAL 2 HOUR WHERE gid = ?"
		if s.db.Dialect() == database.SQLite {
			query = "UPDATE sub_transaction_barrier SET updated_at = updated_at - 7200000 WHERE gid = ?"
		}
		_, err := s.db.SQL().ExecContext(s.t.Context(), query, gid)
		require.NoError(s.t, err)
	}
}

func (s *till) store() barrier.ResolutionStore {
	s.t.Helper()
	store, ok := s.db.Barrier().(barrier.ResolutionStore)
	require.True(s.t, ok)
	return store
}

// resolver returns one that follows what the coordinator says.
func (s *till) resolver(c barrier.Coordinator, change ...func(*barrier.ResolverConfig)) *barrier.Resolver {
	s.t.Helper()
	cfg := barrier.ResolverConfig{
		Store: s.store(), Coordinator: c, Sender: &barrier.GRPCSender{Conn: s.conn, Keys: s.keys},
		By: "the test", Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := barrier.NewResolver(cfg)
	require.NoError(s.t, err)
	return r
}

// requireSums requires what the till has, free, held and spent.
func (s *till) requireSums(free, held, spent int) {
	s.t.Helper()
	var f, h, p int
	require.NoError(s.t, s.db.SQL().QueryRowContext(s.t.Context(), "SELECT free, held, spent FROM till WHERE id = 1").Scan(&f, &h, &p))
	require.Equal(s.t, []int{free, held, spent}, []int{f, h, p}, "free, held, spent")
}

func (s *till) requireState(gid string, want barrier.State) {
	s.t.Helper()
	branches, err := s.store().Branches(s.t.Context(), gid)
	require.NoError(s.t, err)
	require.Len(s.t, branches, 1)
	require.Equal(s.t, want.String(), branches[0].State.String(), gid)
}

// records are what is recorded about a transaction, or about all for "".
func (s *till) records(gid string) []barrier.Resolution {
	s.t.Helper()
	list, err := s.store().Resolutions(s.t.Context(), barrier.ResolutionsOptions{GID: gid})
	require.NoError(s.t, err)
	return list
}

// oracle is a coordinator that says what the test wants.
type oracle struct {
	views   map[string]barrier.View
	away    bool
	retries []string
	looks   int
}

func (o *oracle) Look(_ context.Context, gid string) (barrier.View, error) {
	o.looks++
	if o.away {
		return barrier.View{}, fmt.Errorf("nobody is there")
	}
	v, ok := o.views[gid]
	if !ok {
		return barrier.View{Verdict: barrier.Forgotten}, nil
	}
	return v, nil
}

func (o *oracle) RetryNow(_ context.Context, later time.Duration, limit int) (int, error) {
	o.retries = append(o.retries, fmt.Sprintf("%d from %s", limit, later.Round(time.Minute)))
	return limit, nil
}

func says(v barrier.Verdict) barrier.View {
	return barrier.View{Verdict: v, Status: "as the test says"}
}
