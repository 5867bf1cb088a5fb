package rocketmq_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

// The values of commitOrRollback in what a broker is told.
const (
	toldUnknown  = "0"
	toldCommit   = "8"
	toldRollback = "12"
)

// fakeTopic is the topic of the fake broker.
const fakeTopic = "orders"

// newFake returns a broker that does what the test says, and a bus on it.
func newFake(t *testing.T) (*fakebroker.Server, *rocketmq.Bus) {
	t.Helper()
	s := fakebroker.Start(t, fakeTopic)
	return s, openBus(t, rocketmq.Config{NameServers: []string{s.Addr()}, SendTimeout: time.Second})
}

// told are the outcomes that the broker was told of, in order.
func told(s *fakebroker.Server) []string {
	all := []string{}
	for _, r := range s.Received(fakebroker.EndTransaction) {
		all = append(all, r.Fields["commitOrRollback"])
	}
	return all
}

// settled waits until the broker was told n times.
func settled(t *testing.T, s *fakebroker.Server, n int) []string {
	t.Helper()
	eventually(t, func() bool { return len(told(s)) >= n }, func() string { return "the broker was not told" })
	return told(s)
}

// visible waits until consumers could read n messages.
func visible(t *testing.T, s *fakebroker.Server, n int) {
	t.Helper()
	eventually(t, func() bool { return len(s.Messages(fakeTopic)) == n }, func() string { return "the messages that are visible are others" })
}

// check has the broker ask a group about its half messages, as soon as it knows
// a producer, and waits for the answers, which it returns.
func check(t *testing.T, s *fakebroker.Server, group string) []string {
	t.Helper()
	eventually(t, func() bool { return len(s.Clients(group)) > 0 }, func() string { return "the broker knows no producer" })
	before := len(told(s))
	n := s.Check(group)
	require.Positive(t, n)
	eventually(t, func() bool { return len(told(s)) >= before+n }, func() string { return "the broker got no answer" })
	return told(s)[before:]
}
