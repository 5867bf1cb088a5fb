package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// Each transaction is counted once, by what its initiator knows of it.
func TestTransactionsAreCounted(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	s := newStandIn(t)
	f := newFlaky(t, s.grpcAddr)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	client := func(settle time.Duration) *coordinator.Client {
		return newClient(t, dial(t, f.addr), s.httpURL, func(cfg *coordinator.Config) {
			cfg.MeterProvider, cfg.SettleTimeout = provider, settle
		})
	}
	c, p := client(bound), newParticipant(t)
	run := func(err error) error {
		return c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
			return errors.Join(tx.Try(ctx, p.branch("a")), err)
		})
	}
	require.NoError(t, run(nil))
	require.NoError(t, run(nil))
	require.Error(t, run(errors.New("own")))
	p.answer(tcc.Try, tcc.Reject("NO", "", nil))
	require.Error(t, run(nil))
	tx := begin(t, c)
	require.NoError(t, tx.Abort(bounded(t), "no"))
	require.Error(t, tx.Commit(bounded(t)))

	f.on("Prepare", loseRequest)
	require.Error(t, run(nil))
	f.on("Prepare", nil)
	f.on("Submit", loseRequest)
	f.on("Abort", loseRequest)
	c = client(100 * time.Millisecond)
	require.Error(t, run(nil))

	require.Equal(t, map[string]uint64{"committed": 2, "aborted": 2, "rejected": 1, "unavailable": 1, "unknown": 1}, counts(t, reader))
}

func counts(t *testing.T, reader sdkmetric.Reader) map[string]uint64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	out := map[string]uint64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			require.Equal(t, "tcckit.transaction.duration", m.Name)
			h, ok := m.Data.(metricdata.Histogram[float64])
			require.True(t, ok)
			for _, point := range h.DataPoints {
				o, _ := point.Attributes.Value("outcome")
				out[o.AsString()] = point.Count
			}
		}
	}
	return out
}
