package rocketmq_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

func TestTransactionsAreCounted(t *testing.T) {
	t.Parallel()
	s := fakebroker.Start(t, fakeTopic)
	reader := metric.NewManualReader()
	bus := openBus(t, rocketmq.Config{NameServers: []string{s.Addr()}, MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	l := newLedger(t, "sqlite")
	tx := newTransactions(t, on(t, bus, l))
	msg := newMessage()
	require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, func(context.Context, *sql.Tx) error {
		require.Equal(t, map[string]int64{"": 1}, counts(t, reader, "tcckit.rocketmq.transactions.open", "outcome"))
		return nil
	}))
	require.Error(t, tx.Send(t.Context(), fakeTopic, newMessage(), func(context.Context, *sql.Tx) error { return sql.ErrNoRows }))
	require.Error(t, tx.Send(t.Context(), "elsewhere", newMessage(), neverRun(t)))
	require.Equal(t, map[string]int64{"committed": 1, "rolled_back": 1, "not_sent": 1}, counts(t, reader, "tcckit.rocketmq.transactions", "outcome"))
	require.Equal(t, map[string]int64{"": 0}, counts(t, reader, "tcckit.rocketmq.transactions.open", "outcome"))
}

// counts reads a sum, by the values of one attribute.
func counts(t *testing.T, reader *metric.ManualReader, name, by string) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	got := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if m.Name != name || !ok {
				continue
			}
			for _, p := range sum.DataPoints {
				value, _ := p.Attributes.Value(attribute.Key(by))
				got[value.AsString()] += p.Value
			}
		}
	}
	return got
}
