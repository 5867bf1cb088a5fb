package coordinator_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

// BenchmarkTransaction is what a transaction costs beyond its participants'
// work: two branches whose Try, Confirm and Cancel do nothing, from Begin to
// the end of Commit, by one client and by several.
func BenchmarkTransaction(b *testing.B) {
	if testing.Short() {
		b.Skip("needs dtm-server and its stores, which -short leaves out")
	}
	for name, store := range map[string]func() dtmserver.Store{
		"boltdb": dtmserver.Bolt,
		"mysql":  func() dtmserver.Store { return dtmserver.MySQL(testserver.MySQL(b)) },
		"redis": func() dtmserver.Store {
			keys := testserver.Redis(b)
			return dtmserver.Redis(keys.Addr, keys.Prefix)
		},
	} {
		b.Run(name, func(b *testing.B) {
			dir, err := os.MkdirTemp("", "tcckit-coordinator-")
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, os.RemoveAll(dir)) })
			server, err := dtmserver.Start(b.Context(), dtmserver.Config{Dir: dir, Store: store()})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, server.Kill()) })
			c := newClient(b, dial(b, server.GRPCAddr()), server.HTTPURL())
			p := newParticipant(b)
			run := func() error {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				return c.Run(ctx, func(ctx context.Context, tx *coordinator.Transaction) error {
					return tx.Try(ctx, p.branch("a"), p.branch("b"))
				})
			}
			require.NoError(b, run())
			b.Run("1 client", func(b *testing.B) {
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
			})
			b.Run("16 clients a core", func(b *testing.B) {
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := run(); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
			})
		})
	}
}
