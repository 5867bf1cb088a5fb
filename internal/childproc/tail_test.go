package childproc

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTail(t *testing.T) {
	t.Parallel()
	tail := newTail(2)
	require.Empty(t, tail.String())
	for _, part := range []string{"one\ntw", "o\r\nthr", "ee\n"} {
		n, err := tail.Write([]byte(part))
		require.NoError(t, err)
		require.Len(t, part, n)
	}
	require.Equal(t, "two\nthree", tail.String())
	_, _ = tail.Write([]byte("four"))
	require.Equal(t, "two\nthree\nfour", tail.String())
	_, _ = tail.Write([]byte(strings.Repeat("x", 3*maxLine) + "\n"))
	require.Equal(t, "three\nfour"+strings.Repeat("x", maxLine-4), tail.String())
}
