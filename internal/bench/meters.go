package bench

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// meters collects a store's metrics.
type meters struct {
	reader   *metric.ManualReader
	provider *metric.MeterProvider
}

func newMeters() *meters {
	reader := metric.NewManualReader()
	return &meters{reader, metric.NewMeterProvider(metric.WithReader(reader))}
}

// read returns how many transactions were run again after a deadlock, and how
// many batches there were.
func (m *meters) read(ctx context.Context) (deadlocks, batches float64, err error) {
	var rm metricdata.ResourceMetrics
	if err := m.reader.Collect(ctx, &rm); err != nil {
		return 0, 0, err
	}
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			switch data := metric.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					cause, _ := p.Attributes.Value(attribute.Key("cause"))
					if metric.Name == "tcckit.barrier.retries" && cause.AsString() == "deadlock" {
						deadlocks += float64(p.Value)
					}
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					if metric.Name == "tcckit.barrier.batch.size" {
						batches += float64(p.Count)
					}
				}
			}
		}
	}
	return deadlocks, batches, nil
}
