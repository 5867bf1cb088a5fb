package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// broker takes messages as their ids say: it refuses some for ever, and remembers what of the others must be
// answered.
type broker struct {
	mu      sync.Mutex
	results []*message.Message
}

// Publish implements message.Publisher.
func (b *broker) Publish(_ string, msgs ...*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range msgs {
		if m.UUID == "failed" || m.UUID == "other" {
			return messaging.Permanent(errors.New("no such topic:\n" + m.UUID))
		}
	}
	for _, m := range msgs {
		if m.UUID != "confirmed" && m.UUID != "refused" {
			continue
		}
		r := message.NewMessage("", nil)
		r.Metadata.Set(messaging.MetadataResultOf, m.UUID)
		r.Metadata.Set(messaging.MetadataOutcome, string(outbox.StateConfirmed))
		if m.UUID == "refused" {
			r.Metadata.Set(messaging.MetadataOutcome, string(outbox.StateFailed))
			r.Metadata.Set(messaging.MetadataReason, "INSUFFICIENT_STOCK")
		}
		b.results = append(b.results, r)
	}
	return nil
}

// Close implements message.Publisher.
func (*broker) Close() error { return nil }

// announce writes messages into the outbox and has them published, as far as they can be: one each that waits,
// failed, failed on another topic, was sent, was sent and expects a result, was confirmed, and was refused by
// its receiver.
func announce(t *testing.T, p *participant) {
	t.Helper()
	o, err := outbox.New(t.Context(), outbox.Config{DB: p.SQL(), Dialect: p.messages(), ResultTopic: "results", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	var msgs []outbox.Message
	for _, id := range []string{"new", "failed", "other", "sent", "awaited", "confirmed", "refused"} {
		m := outbox.Message{ID: id, Topic: "orders", Key: "k-" + id, ExpectResult: id == "awaited" || id == "confirmed" || id == "refused"}
		switch id {
		case "other":
			m.Topic = "carts"
		case "new":
			m.Delay = time.Hour
		}
		msgs = append(msgs, m)
	}
	require.NoError(t, p.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return o.Write(ctx, tx, msgs...) }))

	b := &broker{}
	relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: o, Publisher: b})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); relay.Run(ctx) }()
	require.Eventually(t, func() bool {
		rows, err := o.List(t.Context(), outbox.ListOptions{States: []outbox.State{outbox.StateNew}})
		return err == nil && len(rows) == 1
	}, bound, pollPause)
	cancel()
	<-ended
	for _, r := range b.results {
		require.NoError(t, p.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, _, err := o.Settle(ctx, tx, r)
			return err
		}))
	}
}

// outboxIDs are the ids that a command lists as JSON.
func outboxIDs(t *testing.T, p *participant, args ...string) (ids []string) {
	t.Helper()
	c := p.tcckit(t, 0, append([]string{"outbox", "list", "--json"}, args...)...)
	var rows []outbox.Row
	require.NoError(t, json.Unmarshal([]byte(c.out), &rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestOutboxList(t *testing.T) {
	t.Parallel()
	eachParticipant(t, func(t *testing.T, p *participant) {
		c := p.tcckit(t, 0, "outbox", "list")
		require.Equal(t, "there is none\n", c.out)
		require.Empty(t, outboxIDs(t, p))

		announce(t, p)
		c = p.tcckit(t, 0, "outbox", "list")
		lines := strings.Split(strings.TrimSpace(c.out), "\n")
		require.Len(t, lines, 5)
		require.Equal(t, []string{"AGE", "STATE", "TOPIC", "KEY", "ID", "TRIES", "NEXT", "LAST", "ERROR"}, strings.Fields(lines[0]))
		require.Equal(t, []string{"NEW", "orders", "k-new", "new", "0", "in"}, strings.Fields(lines[1])[1:7])
		require.Equal(t, []string{"FAILED", "orders", "k-failed", "failed", "1", "-", "no", "such", "topic:", "failed"}, strings.Fields(lines[2])[1:])

		require.Equal(t, []string{"new", "failed", "other", "refused"}, outboxIDs(t, p))
		require.Equal(t, []string{"sent", "awaited"}, outboxIDs(t, p, "--state=sent"))
		require.Equal(t, []string{"other"}, outboxIDs(t, p, "--topic=carts"))
		require.Empty(t, outboxIDs(t, p, "--older-than=1h"))

		c = p.tcckit(t, 0, "outbox", "list", "--limit=2", "--json")
		_, after, found := strings.Cut(c.log, "--after ")
		require.True(t, found, c.log)
		require.Equal(t, []string{"other", "refused"}, outboxIDs(t, p, "--limit=2", "--after="+strings.TrimSpace(after)))

		c = p.tcckit(t, 2, "outbox", "list", "--state=lost")
		require.Contains(t, c.log, `--state "lost": want any of NEW, SENT, CONFIRMED, FAILED`)
	})
}

func TestOutboxRetry(t *testing.T) {
	t.Parallel()
	eachParticipant(t, func(t *testing.T, p *participant) {
		announce(t, p)
		retry := func(code int, args ...string) result {
			return p.tcckit(t, code, append([]string{"outbox", "retry"}, args...)...)
		}
		require.Contains(t, retry(2, "failed").log, "--reason is missing")
		require.Contains(t, retry(2, "--reason=x").log, "their ids, or --all")
		require.Contains(t, retry(2, "--reason=x", "--all", "failed").log, "their ids, or --all")
		require.Contains(t, retry(2, "--reason=x", "--topic=orders", "failed").log, "--topic goes with --all")

		c := retry(1, "--reason=x", "failed", "nobody", "new", "sent", "confirmed", "refused")
		for _, why := range []string{
			"nothing was changed", "there is no message nobody", "message new is NEW: it is published by itself",
			"message sent is SENT: it has arrived", "message confirmed is CONFIRMED", "who refuses it (INSUFFICIENT_STOCK)",
		} {
			require.Contains(t, c.log, why)
		}
		require.Equal(t, []string{"new"}, outboxIDs(t, p, "--state=NEW"))

		c = retry(0, "--reason=CASE-7", "--operator=ann", "--log-format=json", "failed", "awaited", "failed")
		require.Equal(t, "2 messages are published again\n", c.out)
		require.Contains(t, c.log, `"messages":2,"ids":["awaited","failed"]`)
		require.Contains(t, c.log, `"operator":"ann","reason":"CASE-7"`)
		require.Equal(t, []string{"new", "failed", "awaited"}, outboxIDs(t, p, "--state=NEW"))

		require.Equal(t, "0 messages are published again\n", retry(0, "--reason=x", "--all", "--topic=orders").out)
		require.Equal(t, "1 message is published again\n", retry(0, "--reason=x", "--all").out)
		require.Equal(t, []string{"refused"}, outboxIDs(t, p, "--state=FAILED"))
	})
}
