package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// measured is a round of so many operations, 10 ms each.
func measured(done int64, took time.Duration) Round {
	r := Round{Done: done, Took: took, Latencies: newHistogram()}
	for range done {
		record(r.Latencies, 10*time.Millisecond)
	}
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	report := newReport(Config{Rows: 1000, Rounds: 2, Duration: time.Second})
	for _, store := range []Store{OnRedis, OnMySQL} {
		for range 2 {
			report.add(Key{store, Limit, 32}, measured(300, time.Second))
			report.add(Key{store, Branches, 1}, measured(50, time.Second))
			report.add(Key{store, Branches, 32}, measured(150, time.Second))
		}
	}
	report.add(Key{OnRedis, PlaceOrder, 32}, measured(120, 2*time.Second))
	require.InDelta(t, 0.5, report.Ratio(OnRedis, 32), 1e-9)
	require.Zero(t, report.Ratio(OnRedis, 8), "nothing was measured with 8 clients")

	var out strings.Builder
	require.NoError(t, report.Write(&out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Contains(t, out.String(), "account and stock       32       150          0.50  10.01ms")
	var figures map[string]float64
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &figures))
	require.InDelta(t, 10, figures["p50_ms_1"], 0.02, "to three digits")
	delete(figures, "p50_ms_1")
	delete(figures, "p50_ms_1_mysql")
	require.Equal(t, map[string]float64{
		"orders_per_s_32": 150, "limit_per_s_32": 300, "ratio_32": 0.5, "place_order_per_s_32": 60,
		"orders_per_s_32_mysql": 150, "limit_per_s_32_mysql": 300, "ratio_32_mysql": 0.5,
	}, figures)
}
