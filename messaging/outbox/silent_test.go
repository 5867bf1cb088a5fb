package outbox_test

import (
	"database/sql"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// A connection that falls silent at a look or in a claim, as one does whose server
// has lost its power, costs a relay no more than its lease.
func TestARelayLeavesASilentConnection(t *testing.T) {
	t.Parallel()
	b := newBox(t, databasetest.MySQL)
	dsn, err := mysqldriver.ParseDSN(b.dsn)
	require.NoError(t, err)
	proxy := testserver.NewProxy(t, dsn.Addr)
	dsn.Addr = proxy.Addr()
	cfg := b.config()
	cfg.DB, err = sql.Open("mysql", dsn.FormatDSN())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cfg.DB.Close()) })
	far := &box{t: t, kind: b.kind, dialect: b.dialect, db: cfg.DB}
	far.Outbox, err = outbox.New(t.Context(), cfg)
	require.NoError(t, err)
	p := &broker{}
	far.relay(p, func(c *outbox.RelayConfig) { c.Workers, c.Lease = 1, time.Second })
	for n, statement := range []string{"SELECT topic FROM outbox", "SELECT * FROM (SELECT state", "SELECT seq, size", "SELECT seq, id"} {
		point := proxy.HoldAfter(statement)
		t.Cleanup(point.Cut)
		b.write(outbox.Message{Topic: "t"})
		point.Wait()
		p.awaitIDs(t, n+1)
	}
}
