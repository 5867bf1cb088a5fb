package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// BenchmarkRelay publishes messages of 500 bytes to a broker that costs nothing.
func BenchmarkRelay(b *testing.B) {
	for _, kind := range databasetest.Kinds() {
		for _, workers := range []int{1, 2} {
			for _, keys := range []int{0, 1000} {
				b.Run(fmt.Sprintf("%s/workers=%d/ordered_keys=%d", kind, workers, keys), func(b *testing.B) {
					box := newBox(b, kind)
					box.fill(b.N, keys)
					taken := &counter{most: int64(b.N), all: make(chan struct{})}
					r, err := outbox.NewRelay(outbox.RelayConfig{Outbox: box.Outbox, Publisher: taken, Workers: workers, StatsInterval: 24 * time.Hour})
					require.NoError(b, err)
					ctx, cancel := context.WithCancel(b.Context())
					var task sync.WaitGroup
					b.ResetTimer()
					task.Go(func() { r.Run(ctx) })
					<-taken.all
					cancel()
					task.Wait() // the last ones are marked
					b.StopTimer()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
				})
			}
		}
	}
}

// fill writes n messages; keys of 0 is no order.
func (b *box) fill(n, keys int) {
	msgs := make([]outbox.Message, n)
	for i := range msgs {
		msgs[i] = outbox.Message{Topic: "t", Payload: make([]byte, 500)}
		if keys > 0 {
			msgs[i].Key, msgs[i].Ordered = fmt.Sprint(i%keys), true
		}
	}
	for c := range slices.Chunk(msgs, 5000) {
		b.tx(func(tx *sql.Tx) { require.NoError(b.t, b.Write(b.t.Context(), tx, c...)) })
	}
}

// counter is a broker that counts.
type counter struct {
	n    atomic.Int64
	most int64
	all  chan struct{} // closed when it has them all
}

// Publish implements message.Publisher.
func (c *counter) Publish(_ string, msgs ...*message.Message) error {
	if c.n.Add(int64(len(msgs))) == c.most {
		close(c.all)
	}
	return nil
}

// Close implements message.Publisher.
func (c *counter) Close() error { return nil }
