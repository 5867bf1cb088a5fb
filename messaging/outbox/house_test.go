package outbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// What is done goes after the retention; what somebody must still see or do stays.
func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		b.write(numbered("done", 4, outbox.Message{Topic: "t"})...)
		b.write(numbered("awaited", 3, outbox.Message{Topic: "t", ExpectResult: true})...)
		p := &broker{}
		stop := b.relay(p)
		b.idle()
		stop()
		for n, most := 4, testserver.Volume(1001, 100000); n < most; n *= 2 {
			b.exec("INSERT INTO outbox (id, "+copied+") SELECT CONCAT(id, '-', ?), "+copied+" FROM outbox WHERE id LIKE 'done%'", n)
		}
		b.exec("UPDATE outbox SET state = 'FAILED' WHERE id = 'done-00000'")
		b.exec("UPDATE outbox SET state = 'NEW' WHERE id = 'done-00001'") // and parked
		b.exec("UPDATE outbox SET state = 'CONFIRMED', settled_at = sent_at, due_at = 0 WHERE id = 'awaited-00000'")
		b.exec("UPDATE outbox SET state = 'FAILED', settled_at = sent_at - 3600000, due_at = 0 WHERE id = 'awaited-00002'") // refused by its receiver
		b.exec("UPDATE outbox SET created_at = created_at - 3600000, sent_at = sent_at - 3600000")
		b.exec("UPDATE outbox SET sent_at = sent_at + 3600000 WHERE id = 'done-00002'") // sent late

		stop = b.relay(p, func(c *outbox.RelayConfig) { c.Retention = time.Hour })
		await(t, func() bool { return b.number("SELECT COUNT(*) FROM outbox") <= 5 }, b)
		stop()
		rows, err := b.List(t.Context(), outbox.ListOptions{})
		require.NoError(t, err)
		var left []string
		for _, r := range rows {
			left = append(left, r.ID)
		}
		// The result came a moment ago.
		require.Equal(t, []string{"done-00000", "done-00001", "done-00002", "awaited-00000", "awaited-00001"}, left)
	})
}

// copied are the columns that copies have in common.
const copied = "topic, ordered, expects_result, size, created_at, state, tries, due_at, claimed_by, claimed_until, lane, sent_at, settled_at, metadata, payload"

func TestList(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		b.write(numbered("a", 5, outbox.Message{Topic: "a", Key: "k", Ordered: true, Payload: []byte("12345"), Metadata: map[string]string{"h": "v"}})...)
		b.write(numbered("b", 5, outbox.Message{Topic: "b"})...)
		b.exec("UPDATE outbox SET state = 'SENT' WHERE id = 'a-00004'")
		list := func(opts outbox.ListOptions) (ids []string, last outbox.Row) {
			rows, err := b.List(t.Context(), opts)
			require.NoError(t, err)
			for _, r := range rows {
				ids, last = append(ids, r.ID), r
			}
			return ids, last
		}
		ids, last := list(outbox.ListOptions{Topic: "a", States: []outbox.State{outbox.StateNew, outbox.StateFailed}, Limit: 3})
		require.Equal(t, []string{"a-00000", "a-00001", "a-00002"}, ids)
		require.Equal(t, "k", last.Key)
		require.True(t, last.Ordered)
		require.Equal(t, map[string]string{"h": "v", "tcckit-key": "k"}, last.Metadata)
		require.Equal(t, 5+len("hv")+len("tcckit-key")+len("k"), last.Size)
		require.WithinDuration(t, time.Now(), last.CreatedAt, time.Minute)
		ids, _ = list(outbox.ListOptions{Topic: "a", States: []outbox.State{outbox.StateNew}, After: last.Seq})
		require.Equal(t, []string{"a-00003"}, ids)
		ids, _ = list(outbox.ListOptions{OlderThan: time.Hour})
		require.Empty(t, ids)
		_, err := b.List(t.Context(), outbox.ListOptions{Limit: -1})
		require.Error(t, err)
	})
}

func TestMetrics(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		reader := sdk.NewManualReader()
		mp := sdk.NewMeterProvider(sdk.WithReader(reader))
		cfg := b.config()
		cfg.MeterProvider, cfg.Participant = mp, "order"
		var err error
		b.Outbox, err = outbox.New(t.Context(), cfg)
		require.NoError(t, err)
		p := &broker{}
		stop := b.relay(p)
		b.write(numbered("m", 5, outbox.Message{Topic: "t"})...)
		b.write(outbox.Message{ID: "awaited", Topic: "t", ExpectResult: true}, outbox.Message{ID: "later", Topic: "t", Delay: time.Hour})
		p.awaitIDs(t, 6)
		var sums map[string]int64
		await(t, func() bool {
			sums = collect(t, reader)
			return sums["tcckit.outbox.published"] == 6 && sums["tcckit.outbox.depth/AWAITING"] == 1 && sums["tcckit.outbox.depth/NEW"] == 1
		}, &sums)
		stop()
		require.Contains(t, sums, "tcckit.outbox.age")
		require.Contains(t, sums, "tcckit.outbox.publish.duration")
	})
}

// collect sums up what there is of each metric, by state too.
func collect(t *testing.T, r *sdk.ManualReader) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, r.Collect(t.Context(), &rm))
	out := map[string]int64{}
	for _, s := range rm.ScopeMetrics {
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					out[m.Name] += p.Value
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					state, _ := p.Attributes.Value("state")
					out[m.Name+"/"+state.AsString()] = p.Value
				}
			case metricdata.Gauge[float64]:
				out[m.Name] = int64(len(d.DataPoints))
			case metricdata.Histogram[float64]:
				out[m.Name] = int64(len(d.DataPoints))
			}
		}
	}
	return out
}
