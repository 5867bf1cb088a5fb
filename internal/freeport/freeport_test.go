package freeport_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/freeport"
)

func TestLoopbackGivesAPortThatCanBeBound(t *testing.T) {
	t.Parallel()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	require.Less(t, port, 32768, "outgoing connections use the ports from there on")

	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	require.NoError(t, err)
	require.NoError(t, l.Close())
}
