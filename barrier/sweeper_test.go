package barrier_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tcckit/tcckit/barrier"
)

// chunks is a store of ten chunks whose sweep fails once in the middle.
type chunks struct {
	barrier.Store
	mu     sync.Mutex
	failed bool
	at     []string
	ends   int
}

func (c *chunks) Sweep(_ context.Context, o barrier.SweepOptions) (barrier.SweepResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.After.GID == "5" && !c.failed {
		c.failed = true
		return barrier.SweepResult{}, errors.New("the database is away")
	}
	c.at = append(c.at, o.After.GID)
	next := "0"
	if o.After.GID != "" {
		next = string(o.After.GID[0] + 1)
	}
	res := barrier.SweepResult{Scanned: 10, Deleted: 3, Oldest: 31 * day, Next: barrier.Position{GID: next}, Done: next == "9"}
	if res.Done {
		c.ends++
	}
	return res, nil
}

func (c *chunks) seen() ([]string, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at, c.ends
}

// A sweep that fails goes on where it stopped, and the next begins anew.
func TestSweeperRun(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	store := &chunks{}
	s, err := barrier.NewSweeper(barrier.SweeperConfig{
		Store: store, Interval: time.Millisecond, Participant: "till", Logger: slog.New(slog.DiscardHandler),
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	require.Eventually(t, func() bool { _, ends := store.seen(); return ends >= 2 }, time.Minute, time.Millisecond)
	cancel()
	<-done
	at, ends := store.seen()
	require.Equal(t, []string{"", "0", "1", "2", "3", "4", "5", "6", "7", "8", "", "0"}, at[:12], "each chunk once in a round")

	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.WithoutCancel(t.Context()), &all))
	found := map[string]metricdata.Aggregation{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		found[m.Name] = m.Data
	}
	require.EqualValues(t, 10*len(at), found["tcckit.barrier.sweep.scanned"].(metricdata.Sum[int64]).DataPoints[0].Value)
	require.EqualValues(t, 3*len(at), found["tcckit.barrier.sweep.deleted"].(metricdata.Sum[int64]).DataPoints[0].Value)
	require.InDelta(t, (31 * day).Seconds(), found["tcckit.barrier.sweep.oldest.age"].(metricdata.Gauge[float64]).DataPoints[0].Value, 1)
	require.EqualValues(t, ends, found["tcckit.barrier.sweep.duration"].(metricdata.Histogram[float64]).DataPoints[0].Count)
}

func TestNewSweeperRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]barrier.SweeperConfig{
		"no store":          {},
		"a short retention": {Store: &chunks{}, Retention: day},
		"an interval":       {Store: &chunks{}, Interval: -1},
		"a limit":           {Store: &chunks{}, Limit: -1},
	} {
		_, err := barrier.NewSweeper(cfg)
		require.Error(t, err, name)
	}
}

func TestNewResolverRefuses(t *testing.T) {
	t.Parallel()
	_, err := barrier.NewResolver(barrier.ResolverConfig{})
	require.ErrorContains(t, err, "no Store")
	require.ErrorContains(t, err, "no Coordinator")
	require.ErrorContains(t, err, "no Sender")
}
