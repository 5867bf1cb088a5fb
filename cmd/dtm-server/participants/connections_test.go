package participants

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
	"github.com/tcckit/tcckit/cmd/dtm-server/certs/certstest"
)

func portOf(t *testing.T, p *participant) string {
	t.Helper()
	_, port, err := net.SplitHostPort(p.addr)
	require.NoError(t, err)
	return port
}

func TestCallsSpreadOverAllAddressesOfAName(t *testing.T) {
	t.Parallel()
	listeners := listen(t, "127.0.0.1", "127.0.0.2")
	one, two := serve(t, listeners[0], nil), serve(t, listeners[1], nil)
	dns := serveNames(t, "127.0.0.1", "127.0.0.2")
	c := newCaller(t, func(cfg *Config) { cfg.authority = dns.addr })
	server := "stock.test:" + portOf(t, one)
	called := 0
	require.Eventually(t, func() bool { // the second connection may come later than the first calls
		called++
		require.NoError(t, confirm(t, c, server, fmt.Sprint(called), bound))
		return one.count() > 3 && two.count() > 3
	}, bound, time.Millisecond)

	one.server.GracefulStop()
	for range 10 {
		called++
		require.NoError(t, confirm(t, c, server, fmt.Sprint(called), bound), "one of two is gone")
	}
}

func TestANewReplicaIsFoundWhenConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	listeners := listen(t, "127.0.0.1", "127.0.0.2")
	one, two := serve(t, listeners[0], nil), serve(t, listeners[1], nil)
	dns := serveNames(t, "127.0.0.1")
	c := newCaller(t, func(cfg *Config) {
		cfg.authority = dns.addr
		cfg.limits.age, cfg.limits.sweep = 50*time.Millisecond, 10*time.Millisecond
	})
	server := "stock.test:" + portOf(t, one)
	require.NoError(t, confirm(t, c, server, "first", bound))
	dns.become("127.0.0.1", "127.0.0.2")
	called := 0
	require.Eventually(t, func() bool {
		called++
		require.NoError(t, confirm(t, c, server, fmt.Sprint(called), bound))
		return two.count() > 0
	}, bound, time.Millisecond)
}

func TestACallWaitsForAParticipantThatIsAway(t *testing.T) {
	t.Parallel()
	listener := listen(t, "127.0.0.1")[0]
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	c := newCaller(t, nil)
	require.Equal(t, codes.DeadlineExceeded, status.Code(confirm(t, c, addr, "g1", 50*time.Millisecond)))
	waiting := make(chan error, 1)
	go func() { waiting <- confirm(t, c, addr, "g2", bound) }()
	require.Eventually(t, func() bool { return isCalling(c, "confirm of branch 01 of g2") }, bound, time.Millisecond)
	var lc net.ListenConfig
	again, err := lc.Listen(t.Context(), "tcp", addr)
	require.NoError(t, err)
	p := serve(t, again, nil)
	require.NoError(t, <-waiting)
	require.Equal(t, 1, p.count())
}

func isCalling(c *Caller, branch string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calling[branch]
}

// After its patience, a participant that does not answer costs one call at a time.
func TestAHungParticipantHoldsUpOneCallOnly(t *testing.T) {
	t.Parallel()
	p := newParticipant(t)
	c := newCaller(t, func(cfg *Config) { cfg.limits.patience = time.Nanosecond })
	release := p.hang()
	require.Equal(t, codes.DeadlineExceeded, status.Code(confirm(t, c, p.addr, "g1", 100*time.Millisecond)))
	trying := make(chan error, 1)
	go func() { trying <- confirm(t, c, p.addr, "g2", bound) }()
	require.Eventually(t, func() bool { return p.count() == 2 }, bound, time.Millisecond)
	err := confirm(t, c, p.addr, "g3", bound)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "another call is trying it")
	require.Equal(t, 2, p.count())
	c.cfg.limits.moment = bound
	waiting := make(chan error, 1)
	go func() { waiting <- confirm(t, c, p.addr, "g3", bound) }()
	require.Eventually(t, func() bool { return isCalling(c, "confirm of branch 01 of g3") }, bound, time.Millisecond)
	release()
	require.NoError(t, <-trying)
	require.NoError(t, <-waiting, "it was answered meanwhile")
	require.NoError(t, confirm(t, c, p.addr, "g4", bound))

	p.answers(status.Error(codes.Unavailable, "its database is away"))
	require.Error(t, confirm(t, c, p.addr, "g5", bound))
	defer p.hang()()
	go func() { trying <- confirm(t, c, p.addr, "g6", bound) }()
	go func() { trying <- confirm(t, c, p.addr, "g7", bound) }()
	require.Eventually(t, func() bool { return p.count() == 7 }, bound, time.Millisecond, "who answers is called, whatever it answers")
	c.Close()
	require.Error(t, <-trying)
	require.Error(t, <-trying)
}

func TestAGoneParticipantFailsFastAfterItsPatience(t *testing.T) {
	t.Parallel()
	listener := listen(t, "127.0.0.1")[0]
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	c := newCaller(t, func(cfg *Config) { cfg.limits.patience = time.Nanosecond })
	require.Equal(t, codes.DeadlineExceeded, status.Code(confirm(t, c, addr, "g", 50*time.Millisecond)))
	for range 10 {
		err := confirm(t, c, addr, "g", bound)
		require.Equal(t, codes.Unavailable, status.Code(err), "not that it ran out of time")
		require.ErrorContains(t, err, "connection refused")
	}
	var lc net.ListenConfig
	again, err := lc.Listen(t.Context(), "tcp", addr)
	require.NoError(t, err)
	serve(t, again, nil)
	require.NoError(t, confirm(t, c, addr, "g", bound), "it is back, and no pause between attempts to connect is waited for")
}

// A participant that comes back elsewhere is found by the first call that tries it.
func TestAParticipantThatMoves(t *testing.T) {
	t.Parallel()
	listeners := listen(t, "127.0.0.1", "127.0.0.2")
	one := serve(t, listeners[0], nil)
	require.NoError(t, listeners[1].Close())
	dns := serveNames(t, "127.0.0.2")
	c := newCaller(t, func(cfg *Config) { cfg.authority, cfg.limits.patience = dns.addr, time.Nanosecond })
	server := "stock.test:" + portOf(t, one)
	require.Error(t, confirm(t, c, server, "g", 50*time.Millisecond))
	dns.become("127.0.0.1")
	require.NoError(t, confirm(t, c, server, "g", bound))
}

func TestParticipantsWithCertificates(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewCA(t), certstest.NewCA(t)
	files := other.Issue(t, "stock.test")
	p := serve(t, listen(t, "127.0.0.1")[0], tlsServer(t, ca.Issue(t, "stock.test")))
	stranger := serve(t, listen(t, "127.0.0.1")[0], tlsServer(t, other.Issue(t, "stock.test")))
	namesake := serve(t, listen(t, "127.0.0.1")[0], tlsServer(t, ca.Issue(t, "account.test")))
	certstest.Trust(t, files.CA, ca, other)
	dns := serveNames(t, "127.0.0.1")
	caller := func(files certs.Files) *Caller {
		identity, err := certs.Open(files, nil)
		require.NoError(t, err)
		return newCaller(t, func(cfg *Config) { cfg.authority, cfg.Credentials = dns.addr, identity.Credentials() })
	}
	ours := caller(ca.Issue(t, "dtm"))
	require.NoError(t, confirm(t, ours, "stock.test:"+portOf(t, p), "g", bound))
	for name, test := range map[string]struct {
		caller      *Caller
		participant *participant
		want        string
	}{
		"a CA that we do not trust":                    {ours, stranger, "unknown authority"},
		"another name":                                 {ours, namesake, "account.test, not stock.test"},
		"a certificate of ours that it does not trust": {caller(files), p, ""},
		"without TLS":                                  {newCaller(t, func(cfg *Config) { cfg.authority = dns.addr }), p, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called := test.participant.count()
			server := "stock.test:" + portOf(t, test.participant)
			err := confirm(t, test.caller, server, name, time.Second)
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), "participant "+server+method+": "), err)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, called, test.participant.count())
		})
	}
}

func TestConnectionsAreFewAndIdleOnesClosed(t *testing.T) {
	t.Parallel()
	a, b, d := newParticipant(t), newParticipant(t), newParticipant(t)
	c := newCaller(t, func(cfg *Config) { cfg.limits.connections = 2 })
	open := func() (servers []string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for server := range c.open {
			servers = append(servers, server)
		}
		return servers
	}
	require.NoError(t, confirm(t, c, a.addr, "g", bound))
	require.NoError(t, confirm(t, c, b.addr, "g", bound))
	require.NoError(t, confirm(t, c, d.addr, "g", bound))
	require.ElementsMatch(t, []string{b.addr, d.addr}, open(), "the one that was idle for longest gave way")

	releaseB, releaseD := b.hang(), d.hang()
	under := make(chan error, 2)
	go func() { under <- confirm(t, c, b.addr, "g1", bound) }()
	go func() { under <- confirm(t, c, d.addr, "g2", bound) }()
	require.Eventually(t, func() bool { return b.count() == 2 && d.count() == 2 }, bound, time.Millisecond)
	require.ErrorContains(t, confirm(t, c, a.addr, "g", bound), "2 participants are being called already")
	c.sweep(time.Now().Add(time.Hour))
	require.Empty(t, open(), "all are old")
	releaseB()
	releaseD()
	require.NoError(t, <-under, "calls end on a connection that is given up")
	require.NoError(t, <-under)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.retired)
}
