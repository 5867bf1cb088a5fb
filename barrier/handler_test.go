package barrier_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/tcc"
)

func openStore(t *testing.T) *sqlite.Store {
	t.Helper()
	path := t.TempDir() + "/barrier.db"
	db, err := sqlite.OpenDB(path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), sqlite.Schema)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func delivery(ctx context.Context, p tcc.Phase) context.Context {
	return tcc.NewContext(ctx, tcc.Branch{GID: "g", ID: "01", Phase: p, Method: "/a.B/TryC"})
}

func TestTryGivesDuplicatesTheSameResponse(t *testing.T) {
	s := openStore(t)
	ctx := delivery(t.Context(), tcc.Try)
	runs := 0
	for range 3 {
		resp, err := barrier.Try(ctx, s, &emptypb.Empty{}, func(context.Context, barrier.Tx) (*wrapperspb.StringValue, error) {
			runs++
			return wrapperspb.String(strings.Repeat("x", runs)), nil
		})
		require.NoError(t, err)
		require.Equal(t, "x", resp.GetValue())
	}
	o, ok := tcc.OutcomeFromContext(ctx)
	require.True(t, ok)
	require.Equal(t, tcc.Duplicate, o)
}

func TestHandlersRefuse(t *testing.T) {
	s := openStore(t)
	work := func(context.Context, barrier.Tx) (*emptypb.Empty, error) {
		t.Error("the work ran")
		return &emptypb.Empty{}, nil
	}
	_, err := barrier.Try(t.Context(), s, &emptypb.Empty{}, work)
	require.ErrorIs(t, err, tcc.ErrNoBranch)
	_, err = barrier.Try(delivery(t.Context(), tcc.Confirm), s, &emptypb.Empty{}, work)
	require.ErrorIs(t, err, tcc.ErrInvalid, "a try that is called as a confirm")
	_, err = barrier.Try(delivery(t.Context(), tcc.Try), s, wrapperspb.String(strings.Repeat("x", barrier.MaxRequestLen)), work)
	require.ErrorIs(t, err, tcc.ErrInvalid, "a request that cannot be kept")

	_, err = barrier.Try(delivery(t.Context(), tcc.Try), s, &emptypb.Empty{}, func(context.Context, barrier.Tx) (*wrapperspb.StringValue, error) {
		return wrapperspb.String(strings.Repeat("x", barrier.MaxResponseLen)), nil
	})
	require.ErrorContains(t, err, "at most 4096")
	err = barrier.Confirm(delivery(t.Context(), tcc.Confirm), s, func(context.Context, barrier.Tx) error { return nil })
	var conflict *tcc.ConflictError
	require.ErrorAs(t, err, &conflict, "nothing of the refused try persists")
	require.Equal(t, "NONE", conflict.State)
}

func TestLateTryIsARejection(t *testing.T) {
	s := openStore(t)
	require.NoError(t, barrier.Cancel(delivery(t.Context(), tcc.Cancel), s, func(context.Context, barrier.Tx) error {
		return nil
	}))
	ctx := delivery(t.Context(), tcc.Try)
	_, err := barrier.Try(ctx, s, &emptypb.Empty{}, func(context.Context, barrier.Tx) (*emptypb.Empty, error) { return &emptypb.Empty{}, nil })
	r, ok := tcc.RejectionFrom(err)
	require.True(t, ok)
	require.Equal(t, tcc.ReasonLateTry, r.Reason)
	o, _ := tcc.OutcomeFromContext(ctx)
	require.Equal(t, tcc.LateTry, o)
}
