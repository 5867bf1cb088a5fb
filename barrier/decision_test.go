package barrier_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func TestResolveAsAPersonDecided(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("g")
		require.NoError(t, s.send("g", "02", tcc.Try))
		r := s.resolver(&oracle{})
		d := barrier.Decision{GID: "g", Phase: tcc.Cancel, By: "ada", Reason: "CASE-118"}

		one := d
		one.BranchID = "02"
		done, err := r.Resolve(t.Context(), one)
		require.NoError(t, err)
		require.Len(t, done, 1)
		require.Equal(t, barrier.Cancelled, done[0].After)
		s.requireSums(999, 1, 0)

		done, err = r.Resolve(t.Context(), d)
		require.NoError(t, err)
		require.Len(t, done, 2, "the one that has ended is reported")
		s.requireSums(1000, 0, 0)
		rec := s.records("g")
		require.Len(t, rec, 2)
		for _, x := range rec {
			require.Equal(t, []any{barrier.ByOperator, "ada", "CASE-118", 1, false}, []any{x.Basis, x.By, x.Reason, x.Attempts, x.Open()})
		}

		d.Phase = tcc.Confirm
		_, err = r.Resolve(t.Context(), d)
		var overtaken *barrier.OvertakenError
		require.ErrorAs(t, err, &overtaken, "it is cancelled")
		require.Len(t, s.records("g"), 2)

		_, err = r.Resolve(t.Context(), barrier.Decision{GID: "nobody", Phase: tcc.Confirm, By: "ada", Reason: "x"})
		require.ErrorIs(t, err, barrier.ErrNoSuchBranch)
	})
}

// A transaction of which a branch is confirmed is not cancelled by halves.
func TestResolveNothingByHalves(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		for _, id := range []string{"01", "02", "03"} {
			require.NoError(t, s.send("g", id, tcc.Try))
		}
		require.NoError(t, s.send("g", "02", tcc.Confirm))
		r := s.resolver(&oracle{})
		d := barrier.Decision{GID: "g", Phase: tcc.Cancel, By: "ada", Reason: "CASE-118"}
		_, err := r.Resolve(t.Context(), d)
		var overtaken *barrier.OvertakenError
		require.ErrorAs(t, err, &overtaken)
		require.Equal(t, "02", overtaken.Branch.ID)
		require.ErrorContains(t, err, "nothing was done")
		s.requireSums(997, 2, 1)
		require.Empty(t, s.records(""))
		d.BranchID = "03"
		_, err = r.Resolve(t.Context(), d)
		require.NoError(t, err)
		d.BranchID, d.Phase = "", tcc.Confirm
		_, err = r.Resolve(t.Context(), d)
		require.ErrorAs(t, err, &overtaken)
		require.Equal(t, "03", overtaken.Branch.ID)
		d.BranchID = "01"
		_, err = r.Resolve(t.Context(), d)
		require.NoError(t, err)
		s.requireSums(998, 0, 2)
	})
}

// A decision says who and why, or nothing is done.
func TestResolveRefusesWhatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("g")
		r := s.resolver(&oracle{})
		for _, d := range []barrier.Decision{
			{GID: "g", Phase: tcc.Confirm, Reason: "no name"},
			{GID: "g", Phase: tcc.Confirm, By: "no reason"},
			{GID: "g", Phase: tcc.Try, By: "ada", Reason: "no phase"},
		} {
			_, err := r.Resolve(t.Context(), d)
			require.Error(t, err, "%+v", d)
		}
		s.requireSums(999, 1, 0)
		require.Empty(t, s.records(""))

		_, err := r.Resolve(t.Context(), barrier.Decision{GID: "g", Phase: tcc.Confirm, By: strings.Repeat("ä", 300), Reason: "\xff" + strings.Repeat("long ", 2000)})
		require.NoError(t, err)
		rec := s.records("g")
		require.Len(t, rec, 1)
		require.False(t, rec[0].Open())
		require.LessOrEqual(t, len(rec[0].By), barrier.MaxResolutionBy)
		require.LessOrEqual(t, len(rec[0].Reason), barrier.MaxResolutionReason)
	})
}

// Two decide otherwise at once: one is first, and the other is told.
func TestContradictingDecisionsAtOnce(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		r := s.resolver(&oracle{})
		for _, gid := range []string{"a", "b", "c", "d", "e"} {
			s.stuck(gid)
			results := make(chan error, 2)
			for by, phase := range map[string]tcc.Phase{"ada": tcc.Confirm, "bob": tcc.Cancel} {
				go func() {
					_, err := r.Resolve(context.WithoutCancel(t.Context()), barrier.Decision{GID: gid, Phase: phase, By: by, Reason: "at once"})
					results <- err
				}()
			}
			failed := 0
			for range 2 {
				if err := <-results; err != nil {
					require.ErrorAs(t, err, new(*barrier.OvertakenError))
					failed++
				}
			}
			require.Equal(t, 1, failed)
		}
		var held int
		require.NoError(t, s.db.SQL().QueryRowContext(t.Context(), "SELECT held FROM till").Scan(&held))
		require.Zero(t, held)
	})
}

// An unsigned call is refused by a participant that has keys.
func TestGRPCSenderSigns(t *testing.T) {
	t.Parallel()
	onEachTill(t, func(t *testing.T, s *till) {
		s.stuck("g")
		b := tcc.Branch{GID: "g", ID: "01", Phase: tcc.Confirm, Method: "/shop.Till/ConfirmTake"}
		err := (&barrier.GRPCSender{Conn: s.conn}).Send(t.Context(), b, nil)
		require.Equal(t, codes.PermissionDenied, status.Code(err))
		err = (&barrier.GRPCSender{Conn: s.conn, Keys: s.keys}).Send(t.Context(), b, nil)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "the request is another: %v", err)
		b.ID = ""
		require.Error(t, (&barrier.GRPCSender{Conn: s.conn, Keys: s.keys}).Send(t.Context(), b, nil))
	})
}
