package testserver

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/tcckit/tcckit/internal/localserver"
)

// RocketMQ returns the address of the shared RocketMQ's name server, host:port. Its broker creates no
// topics by itself and asks about half messages after one second, every second, 60 times.
func RocketMQ(t testing.TB) string {
	t.Helper()
	return address(t, localserver.KindRocketMQ)
}

// Topic returns a name that is unique to the call, for a topic or a consumer group: the test's, to be
// recognised, and a random part. Topics stay on the shared server until it goes.
func Topic(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '-'
		}
	}, t.Name())
	return name[:min(len(name), 60)] + "-" + strings.ToLower(rand.Text()[:10])
}

// RocketMQServer is a RocketMQ of one test alone, which the test may kill and start again.
type RocketMQServer struct {
	t      testing.TB
	server *localserver.RocketMQ
}

// StartRocketMQ starts a RocketMQ for this test with settings of broker.conf, nil for those of the shared
// one. It stops when the test ends. Starting takes about three seconds.
func StartRocketMQ(t testing.TB, options map[string]string) *RocketMQServer {
	t.Helper()
	skipShort(t)
	// Not t.TempDir: see startPrivate.
	dir, err := os.MkdirTemp("", "tcckit-rocketmq-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := bounded()
	defer cancel()
	server, err := localserver.StartRocketMQ(ctx, localserver.RocketMQConfig{Dir: dir, BrokerOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &RocketMQServer{t: t, server: server}
}

// NameServer is the name server's address, host:port, the same after a restart.
func (s *RocketMQServer) NameServer() string { return s.server.NameServer() }

// Broker is the broker's address, host:port, the same after a restart.
func (s *RocketMQServer) Broker() string { return s.server.Broker() }

// Log returns the last lines of the servers' logs.
func (s *RocketMQServer) Log() string { return s.server.Log() }

// KillBroker ends the broker as SIGKILL would, and returns when it is gone.
func (s *RocketMQServer) KillBroker() {
	s.t.Helper()
	s.must(s.server.KillBroker())
}

// RestartBroker starts the broker after KillBroker, at the same address and with what it stored, and
// returns when it answers and the name server knows it.
func (s *RocketMQServer) RestartBroker() {
	s.t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	s.must(s.server.RestartBroker(ctx))
}

// KillNameServer ends the name server as SIGKILL would, and returns when it is gone.
func (s *RocketMQServer) KillNameServer() {
	s.t.Helper()
	s.must(s.server.KillNameServer())
}

// RestartNameServer starts the name server after KillNameServer and returns when it answers. The broker
// makes itself known to it within ten seconds.
func (s *RocketMQServer) RestartNameServer() {
	s.t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	s.must(s.server.RestartNameServer(ctx))
}

func (s *RocketMQServer) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
