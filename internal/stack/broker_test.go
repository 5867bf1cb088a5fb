package stack

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// A broker that ends by itself is started again, at its address.
func TestOwnRocketMQIsKeptRunning(t *testing.T) {
	_ = testserver.RocketMQ(t) // not in short tests
	b, err := startBroker(t.Context(), t.TempDir())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	supervised := make(chan struct{})
	go func() { defer close(supervised); b.supervise(ctx, slog.New(slog.DiscardHandler)) }()

	addr := b.server.Broker()
	require.NoError(t, b.server.KillBroker())
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		return err == nil && conn.Close() == nil
	}, 2*time.Minute, 50*time.Millisecond)
	cancel()
	<-supervised
	require.NoError(t, b.stop())
}
