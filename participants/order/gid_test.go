package order

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/tcc"
)

func TestGID(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Millisecond)
	one, err := newGID()
	require.NoError(t, err)
	two, err := newGID()
	require.NoError(t, err)
	require.NoError(t, tcc.ValidateGID(one))
	require.Less(t, one, two, "gids are in the order of time")
	at := createTime(one)
	require.False(t, at.Before(before))
	require.False(t, at.After(time.Now()))
	require.WithinDuration(t, time.Now(), createTime("not ours"), time.Minute)
}
