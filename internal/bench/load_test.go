package bench_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/bench"
)

func TestRunCountsAndMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		round, err := bench.Run(t.Context(), 4, time.Second, func(ctx context.Context, client int) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-time.After(time.Duration(client+1) * 10 * time.Millisecond) // by the test's clock
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, int64(4), most.Load())
		require.Equal(t, int64(100+50+34+25), round.Done)
		require.Equal(t, 1020*time.Millisecond, round.Took, "what is under way is finished")
		require.InDelta(t, 209/1.02, round.PerSecond(), 0.001)
		require.InDelta(t, 10*time.Millisecond, round.Quantile(1), float64(20*time.Microsecond))
		require.InDelta(t, 40*time.Millisecond, round.Quantile(99), float64(80*time.Microsecond))

		var sum bench.Round
		sum.Add(round)
		sum.Add(round)
		require.Equal(t, 2*round.Done, sum.Done)
		require.InDelta(t, round.PerSecond(), sum.PerSecond(), 0.001)
	})
}

func TestRunEndsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	_, err := bench.Run(t.Context(), 2, time.Hour, func(ctx context.Context, client int) error {
		if client == 0 {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, err, broken)
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := bench.Run(ctx, 1, time.Hour, func(context.Context, int) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
}

func TestRunRefusesNonsense(t *testing.T) {
	for _, clients := range []int{0, -1} {
		_, err := bench.Run(t.Context(), clients, time.Second, nil)
		require.Error(t, err)
	}
	_, err := bench.Run(t.Context(), 1, 0, nil)
	require.Error(t, err)
}

func TestSettlingCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var round bench.Round
		err := round.Settle(t.Context(), func(context.Context) (bool, error) { return time.Since(begin) >= time.Second, nil })
		require.NoError(t, err)
		require.Equal(t, time.Second, round.Took)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = round.Settle(ctx, func(context.Context) (bool, error) { return false, nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
