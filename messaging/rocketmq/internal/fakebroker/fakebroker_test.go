package fakebroker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/remoting"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

// These tests drive the server with the client that it is made for, bare.

func TestMain(m *testing.M) {
	rlog.SetLogger(silent{})
	m.Run()
}

type silent struct{}

func (silent) Debug(string, map[string]any)   {}
func (silent) Info(string, map[string]any)    {}
func (silent) Warning(string, map[string]any) {}
func (silent) Error(string, map[string]any)   {}
func (silent) Fatal(string, map[string]any)   {}
func (silent) Level(string)                   {}
func (silent) OutputPath(string) error        { return nil }

func newProducer(t *testing.T, s *fakebroker.Server) rocketmq.Producer {
	t.Helper()
	p, err := rocketmq.NewProducer(producer.WithNsResolver(primitive.NewPassthroughResolver([]string{s.Addr()})),
		producer.WithInstanceName(t.Name()), producer.WithGroupName("producers"), producer.WithRetry(0))
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { require.NoError(t, p.Shutdown()) })
	return p
}

func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestMessagesAreStoredAndRead(t *testing.T) {
	t.Parallel()
	s := fakebroker.Start(t, "orders")
	p := newProducer(t, s)
	single := primitive.NewMessage("orders", []byte("a"))
	single.WithProperty("colour", "red")
	res, err := p.SendSync(bounded(t, 10*time.Second), single)
	require.NoError(t, err)
	require.Equal(t, primitive.SendOK, res.Status)
	_, err = p.SendSync(bounded(t, 10*time.Second), primitive.NewMessage("orders", []byte("b")), primitive.NewMessage("orders", []byte("c")))
	require.NoError(t, err)

	stored := s.Messages("orders")
	require.Len(t, stored, 3)
	require.Equal(t, "red", stored[0].Properties["colour"])
	require.Equal(t, []byte("c"), stored[2].Body)
	require.Len(t, s.Received(fakebroker.Send), 1)
	require.Len(t, s.Received(fakebroker.SendBatch), 1)

	require.Equal(t, []string{"a", "b"}, bodies(pull(t, s, "0", "2")))
	require.Equal(t, []string{"c"}, bodies(pull(t, s, "2", "32")))
	require.Equal(t, "red", pull(t, s, "0", "1")[0].GetProperty("colour"))
}

// pull reads a queue as the client's consumers do. They themselves have a data
// race with their first heartbeat.
func pull(t *testing.T, s *fakebroker.Server, offset, most string) []*primitive.MessageExt {
	t.Helper()
	answer, err := remoting.Call(bounded(t, 10*time.Second), s.Addr(), remoting.Command{Code: int(fakebroker.Pull), Fields: map[string]string{
		"topic": "orders", "queueId": "0", "queueOffset": offset, "maxMsgNums": most, "suspendTimeoutMillis": "15000",
	}})
	require.NoError(t, err)
	return primitive.DecodeMessage(answer.Body)
}

func bodies(messages []*primitive.MessageExt) []string {
	var all []string
	for _, m := range messages {
		all = append(all, string(m.Body))
	}
	return all
}

func TestOffsetsAreKept(t *testing.T) {
	t.Parallel()
	s := fakebroker.Start(t, "orders")
	queue := map[string]string{"consumerGroup": "g", "topic": "orders", "queueId": "0", "commitOffset": "7"}
	call := func(r fakebroker.Request) (remoting.Command, error) {
		return remoting.Call(bounded(t, 10*time.Second), s.Addr(), remoting.Command{Code: int(r), Fields: queue})
	}
	_, err := call(fakebroker.QueryOffset)
	var refused *remoting.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, int(fakebroker.QueryNotFound), refused.Code)
	_, err = call(fakebroker.UpdateOffset)
	require.NoError(t, err)
	answer, err := call(fakebroker.QueryOffset)
	require.NoError(t, err)
	require.Equal(t, "7", answer.Fields["offset"])
	require.EqualValues(t, 7, s.Committed("g", "orders", 0))
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler fakebroker.Handler
		fails   string // empty: it succeeds
		stored  int
	}{
		"refused":             {fakebroker.Refuse(fakebroker.SystemBusy, "broker busy"), "CODE: 2, DESC: broker busy", 0},
		"silent":              {fakebroker.Silence, "timeout", 0},
		"dropped":             {fakebroker.Drop, "timeout", 0}, // the client waits on
		"stored and silent":   {fakebroker.DoAndSilence, "timeout", 1},
		"stored and dropped":  {fakebroker.DoAndDrop, "timeout", 1},
		"stored, not flushed": {fakebroker.DoAndSay(fakebroker.FlushDiskTimeout), "", 1},
		"late":                {fakebroker.Delay(time.Millisecond, fakebroker.Default), "", 1},
		"too late":            {fakebroker.Delay(time.Minute, fakebroker.Default), "timeout", 0},
		"silent no more":      {fakebroker.Times(0, fakebroker.Silence, fakebroker.Default), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fakebroker.Start(t, "orders")
			p := newProducer(t, s)
			s.On(fakebroker.Send, c.handler)
			_, err := p.SendSync(bounded(t, 500*time.Millisecond), primitive.NewMessage("orders", []byte("a")))
			if c.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails)
			}
			require.Len(t, s.Messages("orders"), c.stored)
		})
	}
}

func TestUnknownTopicHasNoRoute(t *testing.T) {
	t.Parallel()
	s := fakebroker.Start(t)
	_, err := remoting.Call(bounded(t, 10*time.Second), s.Addr(), remoting.Command{Code: int(fakebroker.Route), Fields: map[string]string{"topic": "none"}})
	var refused *remoting.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, int(fakebroker.TopicUnknown), refused.Code)
	s.AddTopic("none", 2)
	answer, err := remoting.Call(bounded(t, 10*time.Second), s.Addr(), remoting.Command{Code: int(fakebroker.Route), Fields: map[string]string{"topic": "none"}})
	require.NoError(t, err)
	require.Contains(t, string(answer.Body), fmt.Sprintf("%q", s.Addr()))
}

// listener answers check-backs.
type listener struct {
	checked chan string
	state   primitive.LocalTransactionState
}

func (l *listener) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.UnknowState
}

func (l *listener) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	l.checked <- string(m.Body)
	return l.state
}

func TestHalfMessageIsVisibleOnceItIsCommitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state   primitive.LocalTransactionState
		visible int
	}{"commit": {primitive.CommitMessageState, 1}, "rollback": {primitive.RollbackMessageState, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fakebroker.Start(t, "orders")
			l := &listener{checked: make(chan string, 10), state: c.state}
			p, err := rocketmq.NewTransactionProducer(l, producer.WithNsResolver(primitive.NewPassthroughResolver([]string{s.Addr()})),
				producer.WithInstanceName(t.Name()), producer.WithGroupName("tx-"+name), producer.WithRetry(0))
			require.NoError(t, err)
			require.NoError(t, p.Start())
			t.Cleanup(func() { require.NoError(t, p.Shutdown()) })
			_, err = p.SendMessageInTransaction(bounded(t, 10*time.Second), primitive.NewMessage("orders", []byte("a")))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return len(s.Clients("tx-"+name)) == 1 }, time.Minute, 10*time.Millisecond)
			require.Len(t, s.Halves(), 1)
			require.Empty(t, s.Messages("orders"))

			require.Equal(t, 1, s.Check("tx-"+name))
			require.Zero(t, s.Check("another"))
			require.Equal(t, "a", <-l.checked)
			require.Eventually(t, func() bool { return len(s.Halves()) == 0 }, time.Minute, 10*time.Millisecond)
			require.Len(t, s.Messages("orders"), c.visible)
		})
	}
}
