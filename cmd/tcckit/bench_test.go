package main

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

func TestBenchOrder(t *testing.T) {
	needsDTM(t)
	server := testserver.MySQL(t).Clone()
	server.DBName = ""
	addr := testserver.Redis(t).Addr
	c := start(t, []string{"TMPDIR=" + t.TempDir(), "TCCKIT_TEST_MYSQL=" + server.FormatDSN(), "TCCKIT_REDIS=" + addr},
		"bench", "order", "--duration=100ms", "--rounds=1", "--rows=20", "--clients=1,32")
	require.Equal(t, 0, c.code())
	figures := figuresOf(t, c)
	for _, name := range []string{"orders_per_s_32", "limit_per_s_32", "ratio_32", "p50_ms_1"} {
		require.Positive(t, figures[name], name)
		require.Positive(t, figures[name+"_mysql"], name)
	}
	require.Positive(t, figures["place_order_per_s_32"])
	require.Len(t, figures, 9)

	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { require.NoError(t, client.Close()) }()
	keys, err := client.Keys(t.Context(), "{tcckit-bench-*").Result()
	require.NoError(t, err)
	require.Empty(t, keys, "DTM's keys are deleted")
}

func TestBenchBarrier(t *testing.T) {
	server := testserver.MySQL(t).Clone()
	server.DBName = ""
	c := start(t, []string{"TCCKIT_TEST_MYSQL=" + server.FormatDSN()}, "bench", "barrier", "--duration=100ms", "--rounds=1", "--rows=1500")
	require.Equal(t, 0, c.code())
	figures := figuresOf(t, c)
	for _, name := range []string{"spread_32", "spread_128", "hot_32", "hot_128", "single_overhead", "closure_overhead", "bytes_per_branch", "allocs_per_branch"} {
		require.Positive(t, figures[name], name)
	}
	require.Contains(t, figures, "deadlocks_per_1000")
	require.Len(t, figures, 9)
	requireDropped(t, server)
}

func TestBenchMessages(t *testing.T) {
	server := testserver.MySQL(t).Clone()
	server.DBName = ""
	c := start(t, []string{"TCCKIT_TEST_MYSQL=" + server.FormatDSN(), "TCCKIT_TEST_ROCKETMQ=" + testserver.RocketMQ(t)},
		"bench", "messages", "--duration=100ms", "--rounds=1", "--messages=100")
	require.Equal(t, 0, c.code())
	figures := figuresOf(t, c)
	for _, name := range []string{
		"relay_speedup", "relay_over_sends", "relay_per_s", "end_to_end_p50_ms", "end_to_end_p99_ms",
		"inbox_overhead", "inbox_overhead_16", "consumed_per_s_16",
		"order_announce_nothing_ms", "order_announce_outbox_ms", "order_announce_half_message_ms",
	} {
		require.Positive(t, figures[name], name)
	}
	require.Len(t, figures, 11)
	requireDropped(t, server)
}

// figuresOf returns what a benchmark has printed last.
func figuresOf(t *testing.T, c *command) (figures map[string]float64) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(c.out.String()), "\n")
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &figures))
	return figures
}

// requireDropped verifies that no database of a benchmark is left.
func requireDropped(t *testing.T, server *mysql.Config) {
	t.Helper()
	db, err := sql.Open("mysql", server.FormatDSN())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var left int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE 'tcckit\\_bench\\_%'").Scan(&left))
	require.Zero(t, left, "the database is dropped")
}
