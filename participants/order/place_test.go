package order

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// PENDING is the answer after the configured wait, and before the caller's
// deadline.
func TestAnswerWait(t *testing.T) {
	t.Parallel()
	s := &Service{cfg: Config{AnswerWait: 2 * time.Second, Timeout: 10 * time.Second}}
	at := func(left time.Duration) time.Duration {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(left))
		defer cancel()
		return s.answerWait(ctx)
	}
	require.Equal(t, 2*time.Second, s.answerWait(t.Context()))
	require.Equal(t, 2*time.Second, at(time.Hour))
	require.LessOrEqual(t, at(time.Second), 800*time.Millisecond)
	require.Zero(t, at(answerMargin/2))
	require.Zero(t, at(-time.Second))
}

// A lease outlasts its call, and the transaction ends before the call, so that
// the answer still reaches the caller.
func TestLeaseOutlastsTheCallAndTheTryDoesNot(t *testing.T) {
	t.Parallel()
	s := &Service{cfg: Config{Timeout: 10 * time.Second}}
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	require.Greater(t, s.lease(ctx), time.Until(deadline))
	require.Equal(t, 12*time.Second, s.lease(t.Context()))
	try, cancelTry := tryContext(ctx)
	defer cancelTry()
	end, ok := try.Deadline()
	require.True(t, ok)
	require.Equal(t, deadline.Add(-answerMargin), end)
	hasty, cancelHasty := context.WithTimeout(t.Context(), answerMargin)
	defer cancelHasty()
	try, cancelTry = tryContext(hasty)
	defer cancelTry()
	end, _ = try.Deadline()
	want, _ := hasty.Deadline()
	require.Equal(t, want, end, "no time is left to give away")
}
