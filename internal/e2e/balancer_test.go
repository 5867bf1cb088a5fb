package e2e_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// balancer forwards TCP connections to replicas in turn, to the next one if one refuses, as the virtual address of
// a Kubernetes Service does. It is for who can be told one address only.
type balancer struct {
	addr     string
	replicas []string
	next     atomic.Uint64
	tasks    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil when it is closed
}

func newBalancer(t testing.TB, replicas ...string) *balancer {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", loopback(t))
	require.NoError(t, err)
	b := &balancer{addr: l.Addr().String(), replicas: replicas, conns: make(map[net.Conn]struct{})}
	b.tasks.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			b.tasks.Go(func() { b.forward(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.closeAll()
		b.tasks.Wait()
	})
	return b
}

func (b *balancer) forward(client net.Conn) {
	defer client.Close()
	server := b.dial()
	if server == nil {
		return
	}
	defer server.Close()
	if !b.keep(client, server) {
		return
	}
	defer b.forget(client, server)
	b.tasks.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
}

// dial returns nil if no replica takes connections.
func (b *balancer) dial() net.Conn {
	var dialer net.Dialer
	for range b.replicas {
		addr := b.replicas[b.next.Add(1)%uint64(len(b.replicas))]
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		server, err := dialer.DialContext(ctx, "tcp", addr)
		cancel()
		if err == nil {
			return server
		}
	}
	return nil
}

func (b *balancer) keep(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil {
		return false
	}
	for _, c := range conns {
		b.conns[c] = struct{}{}
	}
	return true
}

func (b *balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.conns, c)
	}
}

func (b *balancer) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = c.Close()
	}
	b.conns = nil
}
