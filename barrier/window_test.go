package barrier_test

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
)

// shelf is a store of stuck rows that notes where it is read from, and a
// coordinator that notes what it is asked about.
type shelf struct {
	barrier.ResolutionStore
	mu    sync.Mutex
	rows  []string
	froms []string
	asked [][]string // by pass
	fails int        // how many of the next reads fail
}

func (s *shelf) Stuck(_ context.Context, o barrier.StuckOptions) ([]barrier.StuckBranch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.froms = append(s.froms, o.After.GID)
	if s.fails > 0 {
		s.fails--
		return nil, context.DeadlineExceeded
	}
	slices.Sort(s.rows)
	var out []barrier.StuckBranch
	for _, gid := range s.rows {
		if gid > o.After.GID {
			out = append(out, barrier.StuckBranch{GID: gid, BranchID: "01", TriedAt: time.Now()})
		}
	}
	return out, nil
}

func (s *shelf) Branches(_ context.Context, gid string) ([]barrier.Branch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.rows, gid) {
		return []barrier.Branch{{StuckBranch: barrier.StuckBranch{GID: gid, BranchID: "01"}, State: barrier.Confirmed}}, nil
	}
	return []barrier.Branch{{StuckBranch: barrier.StuckBranch{GID: gid, BranchID: "01"}, State: barrier.Tried}}, nil
}

// Resolutions is what a pass reads last.
func (s *shelf) Resolutions(context.Context, barrier.ResolutionsOptions) ([]barrier.Resolution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, nil)
	return nil, nil
}

func (s *shelf) Look(_ context.Context, gid string) (barrier.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[len(s.asked)-1] = append(s.asked[len(s.asked)-1], gid)
	return barrier.View{Verdict: barrier.InProgress}, nil
}

func (s *shelf) RetryNow(context.Context, time.Duration, int) (int, error) { return 0, nil }

// await waits for a pass, numbered from 0, to be over and returns what it asked
// about.
func (s *shelf) await(t *testing.T, pass int) []string {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.asked) > pass+1
	}, time.Minute, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := slices.Clone(s.asked[pass])
	slices.SortFunc(asked, cmp.Compare[string])
	return asked
}

func (s *shelf) change(f func()) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	return len(s.asked)
}

// Passes that do not read the whole table still look at all that is known, and
// at what is new.
func TestResolverRunReadsTheWholeTableNowAndThen(t *testing.T) {
	t.Parallel()
	old, young := uuidAt(time.Now().Add(-40*day)), uuidAt(time.Now().Add(-time.Minute))
	s := &shelf{rows: []string{"0-order", old, "order-1"}, asked: [][]string{nil}}
	r, err := barrier.NewResolver(barrier.ResolverConfig{
		Store: s, Coordinator: s, Sender: &barrier.GRPCSender{}, Interval: 2 * time.Millisecond, OlderThan: time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	defer func() { cancel(); <-done }()

	all := []string{"0-order", old, "order-1"}
	for pass := range 13 {
		require.Equal(t, all, s.await(t, pass), "pass %d", pass)
	}
	s.mu.Lock()
	for i, from := range s.froms[:13] {
		require.Equal(t, i%12 == 0, from == "", "pass %d reads from %q", i, from)
	}
	s.mu.Unlock()

	// A row that is young is found by the next pass, one that cannot be
	// guessed within twelve, and one that has ended is gone.
	now := s.change(func() { s.rows = []string{"0-order", "0-order-late", young, "order-1"} })
	require.Subset(t, s.await(t, now), []string{"0-order", young, "order-1"})
	require.NotContains(t, s.await(t, now), old)
	require.Equal(t, []string{"0-order", "0-order-late", young, "order-1"}, s.await(t, now+12))

	// After a read that failed the next pass reads everything.
	s.change(func() { s.fails, s.froms = 1, nil })
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.froms) >= 2
	}, time.Minute, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.froms[1])
}
