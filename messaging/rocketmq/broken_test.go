package rocketmq_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

// openFake returns a bus on a server that does what the test says.
func openFake(t *testing.T, cfg rocketmq.Config) (s *fakebroker.Server, bus *rocketmq.Bus, topic string) {
	t.Helper()
	topic = testserver.Topic(t)
	s = fakebroker.Start(t, topic)
	cfg.NameServers = []string{s.Addr()}
	return s, openBus(t, cfg), topic
}

// copies are how often each message was sent, by the id that the client gives it.
func copies(s *fakebroker.Server) map[string]int {
	n := map[string]int{}
	for _, r := range append(s.Received(fakebroker.Send), s.Received(fakebroker.SendV2)...) {
		m := regexp.MustCompile("UNIQ_KEY\x01([^\x02]+)").FindStringSubmatch(r.Fields["properties"] + r.Fields["i"])
		n[m[1]]++
	}
	return n
}

// TestContextThatEndsLeavesOneCopy: the client goes on sending when the context
// has ended; 500 ms gave four copies.
func TestContextThatEndsLeavesOneCopy(t *testing.T) {
	t.Parallel()
	s, bus, topic := openFake(t, rocketmq.Config{})
	s.On(fakebroker.Send, fakebroker.DoAndSilence)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m := messages(1)[0]
	m.SetContext(ctx)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	err := p.Publish(topic, m)
	require.ErrorIs(t, err, messaging.ErrUnavailable)
	require.ErrorContains(t, err, "the broker may have stored it")
	require.NoError(t, p.Close(), "which waits for what is on its way")
	require.Len(t, copies(s), 1)
	for _, n := range copies(s) {
		require.Equal(t, 1, n)
	}
}

// TestBusyBrokerIsAskedAgain with the same message, while there is time.
func TestBusyBrokerIsAskedAgain(t *testing.T) {
	t.Parallel()
	s, bus, topic := openFake(t, rocketmq.Config{})
	s.On(fakebroker.Send, fakebroker.Times(3, fakebroker.Refuse(fakebroker.SystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy"), fakebroker.Default))
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, messages(1)...))
	require.Len(t, copies(s), 1, "all are one message")
	for _, n := range copies(s) {
		require.Equal(t, 4, n)
	}
}

// TestAnswersOfABroker says who is to blame for a message that was not stored.
func TestAnswersOfABroker(t *testing.T) {
	t.Parallel()
	refuse := fakebroker.Refuse
	for name, tt := range map[string]struct {
		on   fakebroker.Handler
		is   error
		says string
	}{
		"flush timeout":    {fakebroker.DoAndSay(fakebroker.FlushDiskTimeout), messaging.ErrUnavailable, "not as safely as it is set up to: FLUSH_DISK_TIMEOUT"},
		"replica timeout":  {fakebroker.DoAndSay(fakebroker.FlushSlaveTimeout), messaging.ErrUnavailable, "FLUSH_SLAVE_TIMEOUT"},
		"no replica":       {fakebroker.DoAndSay(fakebroker.SlaveNotAvailable), messaging.ErrUnavailable, "SLAVE_NOT_AVAILABLE"},
		"busy":             {refuse(fakebroker.SystemBusy, "broker busy"), messaging.ErrUnavailable, "broker busy"},
		"disk full":        {refuse(fakebroker.ServiceUnavailable, "the broker's disk is full"), messaging.ErrUnavailable, "disk is full"},
		"illegal":          {refuse(fakebroker.MessageIllegal, "the message is illegal"), messaging.ErrPermanent, "is illegal"},
		"no such topic":    {refuse(fakebroker.TopicUnknown, "topic not exist"), rocketmq.ErrUnknownTopic, "topic not exist"},
		"connection cut":   {fakebroker.Drop, messaging.ErrUnavailable, "the broker may have stored it"},
		"wrong secret key": {refuse(fakebroker.SystemError, "org.apache.rocketmq.acl.common.AclException: Check signature failed"), messaging.ErrUnavailable, "does not accept the access key or secret key"},
		"not permitted":    {refuse(fakebroker.NoPermission, "the topic[t] sending message is forbidden"), nil, "is forbidden"},
		"something else":   {refuse(fakebroker.SystemError, "NullPointerException"), nil, "NullPointerException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, bus, topic := openFake(t, rocketmq.Config{SendTimeout: 300 * time.Millisecond})
			s.On(fakebroker.Send, tt.on)
			s.On(fakebroker.SendBatch, tt.on)
			p := newPublisher(t, bus, rocketmq.PublisherConfig{})
			for n := 1; n <= 2; n++ { // alone, and in a batch
				err := p.Publish(topic, messages(n)...)
				require.ErrorContains(t, err, tt.says)
				for _, class := range []error{messaging.ErrUnavailable, messaging.ErrPermanent, rocketmq.ErrUnknownTopic} {
					require.Equal(t, errors.Is(tt.is, class), errors.Is(err, class), "%v: %v", class, err)
				}
			}
		})
	}
}

// TestTopicThatIsNotThereBecauseNoBrokerIs: a name server forgets a broker that
// has gone, and its topics with it.
func TestTopicThatIsNotThereBecauseNoBrokerIs(t *testing.T) {
	t.Parallel()
	s, bus, _ := openFake(t, rocketmq.Config{SendTimeout: 300 * time.Millisecond})
	topic := testserver.Topic(t)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	sub := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	require.ErrorIs(t, p.Publish(topic, messages(1)...), rocketmq.ErrUnknownTopic)
	s.On(fakebroker.ClusterInfo, func(c *fakebroker.Call) { c.Answer(fakebroker.Success, nil, []byte(`{"brokerAddrTable":{}}`)) })
	for _, err := range []error{
		p.Publish(topic, messages(1)...),
		bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: topic}),
		func() error { _, err := sub.Subscribe(t.Context(), topic); return err }(),
	} {
		require.ErrorIs(t, err, messaging.ErrUnavailable)
		require.ErrorContains(t, err, "the name server knows of no broker")
	}
}

// TestTopicThatABrokerDoesNotCreate: the client's administration does not look at
// the answer.
func TestTopicThatABrokerDoesNotCreate(t *testing.T) {
	t.Parallel()
	s, bus, _ := openFake(t, rocketmq.Config{})
	topic := rocketmq.Topic{Name: testserver.Topic(t)}
	s.On(fakebroker.CreateTopic, fakebroker.Refuse(fakebroker.SystemError, "no room for topics"))
	require.ErrorContains(t, bus.EnsureTopics(t.Context(), topic), "no room for topics")
	s.On(fakebroker.CreateTopic, func(c *fakebroker.Call) { c.Answer(fakebroker.Success, nil, nil) }) // and forgets it
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := bus.EnsureTopics(ctx, topic)
	require.ErrorIs(t, err, messaging.ErrUnavailable)
	require.ErrorContains(t, err, "the name server does not know it")
}

// TestNothingIsSentBack, even if a broker would refuse it, as the client does not
// notice.
func TestNothingIsSentBack(t *testing.T) {
	t.Parallel()
	s, bus, topic := openFake(t, rocketmq.Config{})
	s.On(fakebroker.SendBack, fakebroker.Refuse(fakebroker.SystemError, "no"))
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, messages(1)...))
	sub := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	out := subscribe(t, sub, topic)
	for range 10 {
		next(t, out).Nack()
	}
	require.Zero(t, s.Committed(rocketmq.GroupOf("g", topic), topic, 0))
	next(t, out).Ack()
	require.NoError(t, sub.Close())
	require.Empty(t, s.Received(fakebroker.SendBack))
	require.Equal(t, int64(1), s.Committed(rocketmq.GroupOf("g", topic), topic, 0))
}

// TestCommitThatGetsLost: the client tells brokers how far it has come without
// waiting for an answer.
func TestCommitThatGetsLost(t *testing.T) {
	t.Parallel()
	s, bus, topic := openFake(t, rocketmq.Config{})
	sent := messages(3)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	sub := newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience})
	out := subscribe(t, sub, topic)
	s.On(fakebroker.UpdateOffset, fakebroker.Times(5, fakebroker.Silence, fakebroker.Default))
	for range sent {
		next(t, out).Ack()
	}
	require.NoError(t, sub.Close())
	require.Equal(t, int64(3), s.Committed(rocketmq.GroupOf("g", topic), topic, 0))
	require.Greater(t, len(s.Received(fakebroker.UpdateOffset)), 5)
}

// TestCloseOnASilentServer comes back, and says what may be delivered again.
func TestCloseOnASilentServer(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	s, bus, topic := openFake(t, rocketmq.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, messages(1)...))
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience}), topic)
	m := next(t, out)
	for _, r := range []fakebroker.Request{
		fakebroker.Send, fakebroker.Pull, fakebroker.QueryOffset, fakebroker.UpdateOffset, fakebroker.Heartbeat,
		fakebroker.ConsumersOf, fakebroker.Route, fakebroker.ClusterInfo,
	} {
		s.On(r, fakebroker.Silence)
	}
	m.Ack()
	closed := make(chan error, 1)
	go func() { closed <- bus.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "Close waits for ever")
	}
	require.True(t, bytes.Contains(log.bytes(), []byte("the broker may not know what was handled last")), "%s", log.bytes())
}

// TestBrokerThatForgotUs, as one does that was restarted: the client would read
// nothing until its next heartbeat but one, up to 50 s later.
func TestBrokerThatForgotUs(t *testing.T) {
	t.Parallel()
	s, bus, topic := openFake(t, rocketmq.Config{})
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic)
	require.NoError(t, p.Publish(topic, messages(1)...))
	next(t, out).Ack()
	asked, beats := len(s.Received(fakebroker.ConsumersOf)), len(s.Received(fakebroker.Heartbeat))
	s.On(fakebroker.ConsumersOf, func(c *fakebroker.Call) { c.Answer(fakebroker.Success, nil, []byte(`{"consumerIdList":["another"]}`)) })
	eventually(t, func() bool {
		return len(s.Received(fakebroker.ConsumersOf)) >= asked+3 && len(s.Received(fakebroker.Heartbeat)) > beats
	}, func() string { return fmt.Sprint(asked, beats) })
	require.Less(t, len(s.Received(fakebroker.ConsumersOf)), asked+50, "it is not asked without end")
	for range 5 {
		require.NoError(t, p.Publish(topic, messages(1)...))
		next(t, out).Ack()
	}
}

// TestConnectionsThatBreak while messages are sent and read.
func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	s, bus, topic := openFake(t, rocketmq.Config{SendTimeout: 300 * time.Millisecond})
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	got := newInbox()
	got.start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience}), topic))
	var sent []*message.Message
	for range 5 {
		batch := messages(20)
		sent = append(sent, batch...)
		s.DropConnections()
		eventually(t, func() bool { return p.Publish(topic, batch...) == nil }, func() string { return "it does not recover" })
	}
	got.has(t, sent)
}
