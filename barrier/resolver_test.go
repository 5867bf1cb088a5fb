package barrier_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// A pass does what the coordinator decided and leaves the rest alone, and says
// what it found.
func TestResolverFollowsTheCoordinator(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("aborted", "committed", "contradictory", "forgotten", "in-progress")
		require.NoError(t, s.send("young", "01", tcc.Try))
		o := &oracle{views: map[string]barrier.View{
			"aborted": says(barrier.Aborted), "committed": says(barrier.Committed),
			"contradictory": says(barrier.Contradictory), "in-progress": says(barrier.InProgress), "young": says(barrier.Committed),
		}}
		r := s.resolver(o)
		p, err := r.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 5, p.Stuck)
		require.InDelta(t, 2, p.Oldest.Hours(), 0.5)
		require.Equal(t, map[barrier.Verdict]int{barrier.Aborted: 1, barrier.Committed: 1, barrier.Contradictory: 1, barrier.Forgotten: 1, barrier.InProgress: 1}, p.Verdicts)
		require.Len(t, p.Resolutions, 2)
		require.Empty(t, o.retries)
		s.requireState("committed", barrier.Confirmed)
		s.requireState("aborted", barrier.Cancelled)
		for _, gid := range []string{"contradictory", "forgotten", "in-progress", "young"} {
			s.requireState(gid, barrier.Tried)
		}
		s.requireSums(995, 4, 1)

		rec := s.records("committed")
		require.Len(t, rec, 1)
		require.False(t, rec[0].Open())
		require.WithinDuration(t, time.Now(), rec[0].Started, time.Hour)
		require.WithinDuration(t, time.Now(), rec[0].Finished, time.Hour)
		require.Equal(t, barrier.Resolution{
			GID: "committed", BranchID: "01", Phase: tcc.Confirm, Basis: barrier.ByCoordinator, By: "the test",
			Reason: `the coordinator's status is "as the test says", and it calls nobody any more`,
			Method: "/shop.Till/ConfirmTake", Before: barrier.Tried, After: barrier.Confirmed, Attempts: 1,
			Started: rec[0].Started, Attempted: rec[0].Attempted, Finished: rec[0].Finished,
		}, rec[0])
		require.Equal(t, tcc.Cancel, s.records("aborted")[0].Phase)

		p, err = r.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, p.Stuck)
		require.Empty(t, p.Resolutions)
		require.Len(t, s.records(""), 2)
	})
}

// More than a page of stuck rows, and a coordinator that is asked but once
// whether it is there.
func TestResolverWithManyStuck(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		o := &oracle{views: map[string]barrier.View{}}
		for i := range 230 {
			gid := "g" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			s.stuck(gid)
			if i%10 == 3 {
				o.views[gid] = says(barrier.Committed)
			}
		}
		o.away = true
		p, err := s.resolver(o).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[barrier.Verdict]int{barrier.Away: 230}, p.Verdicts)
		require.Equal(t, 1, o.looks)
		o.away = false
		p, err = s.resolver(o).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[barrier.Verdict]int{barrier.Forgotten: 207, barrier.Committed: 23}, p.Verdicts)
		s.requireSums(770, 207, 23)
	})
}

// The participant is away: the record stays open, each attempt counts, and when
// it is back the branch is finished.
func TestResolverTriesAgain(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("g")
		o := &oracle{views: map[string]barrier.View{"g": says(barrier.Aborted)}}
		away := s.resolver(o, func(c *barrier.ResolverConfig) {
			c.Sender = senderFunc(func(context.Context, tcc.Branch, []byte) error {
				return status.Error(codes.Unavailable, "no such host")
			})
		})
		for n := range 3 {
			_, err := away.Pass(t.Context())
			require.ErrorContains(t, err, "no such host")
			rec := s.records("g")
			require.Len(t, rec, 1)
			require.True(t, rec[0].Open())
			require.Equal(t, n+1, rec[0].Attempts)
			require.Contains(t, rec[0].Err, "no such host")
			s.requireState("g", barrier.Tried)
		}
		_, err := s.resolver(o).Pass(t.Context())
		require.NoError(t, err)
		rec := s.records("g")
		require.Len(t, rec, 1)
		require.False(t, rec[0].Open())
		require.Equal(t, 4, rec[0].Attempts)
		require.Empty(t, rec[0].Err)
		s.requireSums(1000, 0, 0)
	})
}

// Another one's delivery arrives between what is written down and the call.
func TestResolverIsOvertaken(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("same", "other")
		o := &oracle{views: map[string]barrier.View{"same": says(barrier.Committed), "other": says(barrier.Committed)}}
		direct := &barrier.GRPCSender{Conn: s.conn, Keys: s.keys}
		r := s.resolver(o, func(c *barrier.ResolverConfig) {
			c.Sender = senderFunc(func(ctx context.Context, b tcc.Branch, req []byte) error {
				meanwhile := tcc.Confirm
				if b.GID == "other" {
					meanwhile = tcc.Cancel
				}
				require.NoError(t, s.send(b.GID, b.ID, meanwhile))
				return direct.Send(ctx, b, req)
			})
		})
		p, err := r.Pass(t.Context())
		var overtaken *barrier.OvertakenError
		require.ErrorAs(t, err, &overtaken)
		require.Equal(t, "other", overtaken.Branch.GID)
		require.Equal(t, barrier.Cancelled, overtaken.State)
		require.Len(t, p.Resolutions, 2)
		s.requireSums(999, 0, 1)
		rec := s.records("other")
		require.Equal(t, barrier.Cancelled, rec[0].After)
		require.False(t, rec[0].Open())
		require.Contains(t, rec[0].Err, "conflict")
		require.Equal(t, barrier.Confirmed, s.records("same")[0].After)
	})
}

// The address is that of another participant, which answers OK.
func TestResolverAtTheWrongParticipant(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("g")
		r := s.resolver(&oracle{views: map[string]barrier.View{"g": says(barrier.Aborted)}}, func(c *barrier.ResolverConfig) {
			c.Sender = senderFunc(func(context.Context, tcc.Branch, []byte) error { return nil })
		})
		_, err := r.Pass(t.Context())
		require.ErrorContains(t, err, "not the participant of this database")
		require.True(t, s.records("g")[0].Open())
	})
}

func TestTwoResolversAtOnce(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		views := map[string]barrier.View{}
		for i := range 40 {
			gid := "g" + string(rune('A'+i))
			s.stuck(gid)
			views[gid] = says([]barrier.Verdict{barrier.Committed, barrier.Aborted}[i%2])
		}
		var both sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			r := s.resolver(&oracle{views: views}, func(c *barrier.ResolverConfig) { c.By = []string{"one", "two"}[i%2] })
			both.Go(func() { _, errs[i] = r.Pass(t.Context()) })
		}
		both.Wait()
		for _, err := range errs {
			// A busy participant may have no time for one of them.
			if status.Code(errors.Unwrap(err)) != codes.Unavailable {
				require.NoError(t, err)
			}
		}
		_, err := s.resolver(&oracle{views: views}).Pass(t.Context())
		require.NoError(t, err)
		s.requireSums(980, 0, 20)
		open, err := s.store().Resolutions(t.Context(), barrier.ResolutionsOptions{OpenOnly: true})
		require.NoError(t, err)
		require.Empty(t, open)
	})
}

// What waits for this branch for more than an hour is tried again; what waits
// for another one, has been tried lately, or must not be, is not.
func TestResolverHasTheCoordinatorTryAgain(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		now := time.Now()
		waits := func(branch string, since, until, interval time.Duration) barrier.View {
			return barrier.View{
				Verdict: barrier.InProgress, Status: "submitted", NextBranch: branch,
				LastTried: now.Add(-since), NextRetry: now.Add(until), RetryInterval: interval,
			}
		}
		o := &oracle{views: map[string]barrier.View{
			"a-waits":     waits("01", 2*time.Hour, 5*time.Hour, 7*time.Hour),
			"b-waits":     waits("01", 2*time.Hour, 30*time.Hour, 32*time.Hour),
			"c-other":     waits("02", 2*time.Hour, time.Hour, 3*time.Hour),
			"d-lately":    waits("01", 59*time.Minute, 3*time.Hour, 4*time.Hour),
			"e-exhausted": waits("01", 2*time.Hour, 20*365*24*time.Hour, 20*365*24*time.Hour),
		}}
		require.NoError(t, s.send("a-waits", "02", tcc.Try))
		for gid := range o.views {
			s.stuck(gid)
		}
		p, err := s.resolver(o).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"3 from 59m0s"}, o.retries, "a transaction counts once, whichever participant it waits for")
		require.Equal(t, []int{3, 1}, []int{p.Retried, p.Exhausted})
		s.requireSums(994, 6, 0)
	})
}

// What a branch beside it or a person's open decision speaks against is left to
// a person.
func TestResolverLeavesWhatIsContradicted(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		for _, gid := range []string{"beside", "decided"} {
			require.NoError(t, s.send(gid, "02", tcc.Try))
		}
		s.stuck("beside", "decided")
		require.NoError(t, s.send("beside", "02", tcc.Confirm))
		require.NoError(t, s.send("decided", "02", tcc.Cancel))
		o := &oracle{views: map[string]barrier.View{"beside": says(barrier.Aborted), "decided": says(barrier.Aborted)}}
		d := barrier.Decision{GID: "decided", BranchID: "01", Phase: tcc.Confirm, By: "ada", Reason: "it was delivered"}
		_, err := s.resolver(o, func(c *barrier.ResolverConfig) {
			c.Sender = senderFunc(func(context.Context, tcc.Branch, []byte) error { return status.Error(codes.Unavailable, "away") })
		}).Resolve(t.Context(), d)
		require.Error(t, err)

		r := s.resolver(o)
		p, err := r.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[barrier.Verdict]int{barrier.Contradictory: 2}, p.Verdicts)
		require.Empty(t, p.Resolutions)
		s.requireSums(997, 2, 1)

		_, err = r.Resolve(t.Context(), d)
		require.NoError(t, err)
		s.requireSums(997, 1, 2)
	})
}

// Calls that were under way when a transaction was stopped may still be made.
func TestResolverWaitsForAnEndToSettle(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("lately", "settled")
		lately, settled := says(barrier.Aborted), says(barrier.Aborted)
		lately.LastTried, settled.LastTried = time.Now(), time.Now().Add(-10*time.Minute)
		p, err := s.resolver(&oracle{views: map[string]barrier.View{"lately": lately, "settled": settled}}).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[barrier.Verdict]int{barrier.InProgress: 1, barrier.Aborted: 1}, p.Verdicts)
		s.requireState("lately", barrier.Tried)
		s.requireState("settled", barrier.Cancelled)
	})
}

// senderFunc is a barrier.Sender.
type senderFunc func(context.Context, tcc.Branch, []byte) error

func (f senderFunc) Send(ctx context.Context, b tcc.Branch, request []byte) error {
	return f(ctx, b, request)
}
