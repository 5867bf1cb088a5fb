package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// grouped is a store whose round trips are recorded, on a database in which
// accounts "000", "001", ... have 100 each.
type grouped struct {
	t     *testing.T
	store *mysql.Store
	cfg   *mysqldriver.Config
	admin *sql.DB // not recorded
	wire  *wire
	all   sync.WaitGroup
}

const accounts = 130

// onEachGrouped runs f on each kind of server.
func onEachGrouped(t *testing.T, opts mysql.Options, f func(t *testing.T, g *grouped)) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		own := cfg.Clone()
		g := &grouped{t: t, cfg: cfg, wire: record(t, own)}
		connector, err := mysqldriver.NewConnector(cfg)
		require.NoError(t, err)
		g.admin = sql.OpenDB(connector)
		defer func() { require.NoError(t, g.admin.Close()) }()
		var rows []string
		for i := range accounts {
			rows = append(rows, fmt.Sprintf("('%03d', 100)", i))
		}
		g.exec("INSERT INTO account (id, available) VALUES " + strings.Join(rows, ", "))
		g.store, err = mysql.Open(t.Context(), own, opts)
		require.NoError(t, err)
		defer func() { require.NoError(t, g.store.Close()) }()
		defer g.all.Wait()
		f(t, g)
	})
}

func (g *grouped) exec(query string, args ...any) {
	g.t.Helper()
	_, err := g.admin.ExecContext(context.Background(), query, args...)
	require.NoError(g.t, err, query)
}

// taking is work that moves n of an account, in one statement, in a phase's
// direction.
func taking(p tcc.Phase, id string, n int64) barrier.Work {
	return func(_ context.Context, tx barrier.Tx) ([]byte, error) {
		tx.Queue(takingStmt(p, id, n))
		return nil, nil
	}
}

func takingStmt(p tcc.Phase, id string, n int64) barrier.Stmt {
	query := map[tcc.Phase]string{
		tcc.Try:     "UPDATE account SET available = available - ?, frozen = frozen + ? WHERE id = ? AND available >= ?",
		tcc.Confirm: "UPDATE account SET frozen = frozen - ?, available = available + 0 * ? WHERE id = ? AND frozen >= ?",
		tcc.Cancel:  "UPDATE account SET frozen = frozen - ?, available = available + ? WHERE id = ? AND frozen >= ?",
	}[p]
	return barrier.Stmt{Query: query, Args: []any{n, n, id, n}, Key: id, Rows: 1, Otherwise: func(ctx context.Context, tx barrier.Tx) error {
		var left string
		if err := tx.QueryRowContext(ctx, "SELECT available FROM account WHERE id = ?", id).Scan(&left); err != nil {
			return err
		}
		return tcc.Reject("INSUFFICIENT", "", map[string]string{"id": id, "left": left})
	}}
}

// sent is a delivery under way.
type sent struct {
	g      *grouped
	gid    string
	cancel context.CancelFunc
	answer chan error
}

// send delivers without waiting for the answer.
func (g *grouped) send(gid string, p tcc.Phase, work barrier.Work) *sent {
	s, _ := g.deliver(gid, p, work)
	return s
}

// deliver starts a delivery; waits is closed when it waits for its batch.
func (g *grouped) deliver(gid string, p tcc.Phase, work barrier.Work) (s *sent, waits <-chan struct{}) {
	inner, cancel := context.WithCancel(context.Background())
	ctx := &inQueue{Context: inner, waits: make(chan struct{})}
	s = &sent{g: g, gid: gid, cancel: cancel, answer: make(chan error, 1)}
	g.all.Go(func() {
		defer cancel()
		_, err := g.store.Do(ctx, call(gid, p), work)
		s.answer <- err
	})
	return s, ctx.waits
}

// wait returns the answer.
func (s *sent) wait() error {
	s.g.t.Helper()
	select {
	case err := <-s.answer:
		return err
	case <-time.After(time.Minute):
		require.FailNow(s.g.t, "not answered", s.gid)
		return nil
	}
}

// inQueue is a context that tells when a delivery waits for its batch: that is
// when it asks for the channel by which it could be called away.
type inQueue struct {
	context.Context //nolint:containedctx // it is one
	once            sync.Once
	waits           chan struct{}
}

func (c *inQueue) Done() <-chan struct{} {
	c.once.Do(func() { close(c.waits) })
	return c.Context.Done()
}

// queue delivers while the worker is busy, and returns when the branch is in
// the queue.
func (g *grouped) queue(gid string, p tcc.Phase, work barrier.Work) *sent {
	g.t.Helper()
	s, waits := g.deliver(gid, p, work)
	select {
	case <-waits:
	case err := <-s.answer:
		require.FailNow(g.t, "answered instead of queued", "%s: %v", gid, err)
	case <-time.After(time.Minute):
		require.FailNow(g.t, "not queued", gid)
	}
	return s
}

// hold locks an account until the returned function is called.
func (g *grouped) hold(id string) (release func()) {
	g.t.Helper()
	tx, err := g.admin.BeginTx(context.Background(), nil)
	require.NoError(g.t, err)
	_, err = tx.ExecContext(g.t.Context(), "SELECT id FROM account WHERE id = ? FOR UPDATE", id)
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = tx.Rollback() })
	return func() { require.NoError(g.t, tx.Rollback()) }
}

// busy keeps the worker busy with a branch until release, and records from then
// on.
func (g *grouped) busy() (release func()) {
	g.t.Helper()
	const id = "129"
	free := g.hold(id)
	first := g.send("first"+strconv.FormatInt(time.Now().UnixNano(), 36), tcc.Try, taking(tcc.Try, id, 1))
	testserver.LockWaits(g.t, g.cfg, 1)
	g.wire.begin()
	return func() {
		g.t.Helper()
		free()
		require.NoError(g.t, first.wait())
	}
}

// tried makes branches TRIED.
func (g *grouped) tried(gids ...string) {
	g.t.Helper()
	var all []*sent
	for _, gid := range gids {
		all = append(all, g.send(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
	}
	for _, s := range all {
		require.NoError(g.t, s.wait())
	}
}

// gids are n ids whose last three digits name their account.
func gids(prefix string, from, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s%03d", prefix, from+i))
	}
	return out
}

// account is the account of a branch.
func account(gid string) string { return gid[len(gid)-3:] }

func (g *grouped) state(gid string) barrier.State {
	g.t.Helper()
	var s barrier.State
	err := g.admin.QueryRowContext(context.Background(), "SELECT COALESCE(MAX(state), 0) FROM sub_transaction_barrier WHERE gid = ?", gid).Scan(&s)
	require.NoError(g.t, err)
	return s
}

// transactions are the first round trips of the recorded transactions of
// branches, and moves how many business statements each has.
func (g *grouped) transactions() []string { return g.wire.with("START TRANSACTION") }

func (g *grouped) moves() []int {
	var out []int
	for _, text := range g.transactions() {
		out = append(out, strings.Count(text, "UPDATE account"))
	}
	return out
}

// quoted is an id as a statement has it.
func quoted(id string) string { return "'" + id + "'" }
