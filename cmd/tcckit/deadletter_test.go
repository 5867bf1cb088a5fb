package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// consumer is one that gives up what is poison, parks what is late, and does the rest.
func consumer(t *testing.T, p *participant, name string) *inbox.Inbox {
	t.Helper()
	in, err := inbox.New(t.Context(), inbox.Config{
		DB: p.SQL(), Dialect: p.messages(), Consumer: name, Topic: "orders", Logger: databasetest.Logger(t),
		Handler: func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			switch {
			case strings.HasPrefix(msg.UUID, "poison"):
				return nil, messaging.Permanent(errors.New("order 7 is CANCELLED:\nit must not be"))
			case msg.UUID == "late":
				return nil, errors.New("not now")
			}
			return nil, nil
		},
	})
	require.NoError(t, err)
	return in
}

// receive hands messages to consumers: poison to both, and to cart one that is done, and one that is late.
func receive(t *testing.T, p *participant) {
	t.Helper()
	for consumerName, ids := range map[string][]string{"cart": {"done", "late", "poison-1", "poison-2"}, "dispatch": {"poison-3"}} {
		in := consumer(t, p, consumerName)
		for _, id := range ids {
			payload := `{"orderId":"7","lines":[{"sku":"tea"}]}`
			if id == "poison-2" {
				payload = "\x1b[31m"
			}
			msg := message.NewMessage(id, []byte(payload))
			msg.Metadata.Set(messaging.MetadataKey, "7")
			require.NoError(t, in.Handle(msg))
		}
	}
}

func deadLetterIDs(t *testing.T, p *participant, args ...string) (ids []string) {
	t.Helper()
	c := p.tcckit(t, 0, append([]string{"deadletter", "list", "--json"}, args...)...)
	var list []struct{ Consumer, ID string }
	require.NoError(t, json.Unmarshal([]byte(c.out), &list))
	for _, one := range list {
		ids = append(ids, one.Consumer+" "+one.ID)
	}
	return ids
}

func TestDeadLetterList(t *testing.T) {
	t.Parallel()
	eachParticipant(t, func(t *testing.T, p *participant) {
		c := p.tcckit(t, 0, "deadletter", "list")
		require.Equal(t, "there is none\n", c.out)
		require.Empty(t, deadLetterIDs(t, p))

		receive(t, p)
		c = p.tcckit(t, 0, "deadletter", "list", "--consumer=dispatch")
		lines := strings.Split(strings.TrimSpace(c.out), "\n")
		require.Len(t, lines, 2)
		require.Equal(t, []string{"SINCE", "STATE", "CONSUMER", "TOPIC", "ID", "TRIES", "REASON"}, strings.Fields(lines[0]))
		require.Equal(t, "DEAD dispatch orders poison-3 1 order 7 is CANCELLED: it must not be", strings.Join(strings.Fields(lines[1])[1:], " "))

		require.Equal(t, []string{"cart poison-1", "cart poison-2", "dispatch poison-3"}, deadLetterIDs(t, p))
		require.Equal(t, []string{"cart late", "cart poison-1", "cart poison-2"}, deadLetterIDs(t, p, "--parked", "--consumer=cart"))

		c = p.tcckit(t, 0, "deadletter", "list", "--limit=1")
		require.Contains(t, c.log, "there are more: go on with --after 'cart poison-1'\n")
		require.Equal(t, []string{"cart poison-2", "dispatch poison-3"}, deadLetterIDs(t, p, "--after=cart poison-1"))
	})
}

func TestDeadLetterShow(t *testing.T) {
	t.Parallel()
	eachParticipant(t, func(t *testing.T, p *participant) {
		receive(t, p)
		show := func(code int, args ...string) result {
			return p.tcckit(t, code, append([]string{"deadletter", "show"}, args...)...)
		}
		text := show(0, "poison-1", "--consumer=cart").out
		for _, want := range []string{
			"order 7 is CANCELLED: it must not be\n", "DEAD\n", "orders\n", messaging.MetadataKey + " = 7\n",
			"payload, 39 bytes:\n{\n  \"orderId\": \"7\",\n  \"lines\": [\n    {\n      \"sku\": \"tea\"\n",
		} {
			require.Contains(t, text, want)
		}
		require.Contains(t, show(0, "poison-2", "--consumer=cart").out, "00000000  1b 5b 33 31 6d ", "what steers a terminal is not printed to it")
		require.Contains(t, show(0, "done", "--consumer=cart").out, "its payload is not kept")

		var shown struct {
			Payload  struct{ OrderID string }
			Base64   []byte `json:"payload_base64"`
			Metadata map[string]string
		}
		require.NoError(t, json.Unmarshal([]byte(show(0, "poison-1", "--consumer=cart", "--json").out), &shown))
		require.Equal(t, "7", shown.Payload.OrderID)
		require.JSONEq(t, `{"orderId":"7","lines":[{"sku":"tea"}]}`, string(shown.Base64))
		require.Equal(t, "7", shown.Metadata[messaging.MetadataKey])
		require.NotContains(t, show(0, "poison-2", "--consumer=cart", "--json").out, `"payload":`)

		require.Contains(t, show(1, "poison-3", "--consumer=cart").log, "consumer cart has no message poison-3 in this database: `tcckit deadletter list` lists")
		require.Contains(t, show(2, "poison-3").log, "--consumer is missing")
		require.Contains(t, show(2, "--consumer=cart").log, "want one id")
	})
}

func TestDeadLetterReplay(t *testing.T) {
	t.Parallel()
	eachParticipant(t, func(t *testing.T, p *participant) {
		receive(t, p)
		replay := func(code int, args ...string) result {
			return p.tcckit(t, code, append([]string{"deadletter", "replay"}, args...)...)
		}
		require.Contains(t, replay(2, "--consumer=cart", "poison-1").log, "--reason is missing")
		require.Contains(t, replay(2, "--reason=x", "poison-1").log, "--consumer is missing")
		require.Contains(t, replay(2, "--reason=x", "--consumer=cart").log, "their ids, or --all")

		c := replay(1, "--reason=x", "--consumer=cart", "poison-1", "done", "poison-3")
		for _, why := range []string{"nothing was changed", "message done is DONE: consumer cart has handled it", "consumer cart has no message poison-3"} {
			require.Contains(t, c.log, why)
		}
		require.Len(t, deadLetterIDs(t, p), 3)

		c = replay(0, "--reason=CASE-9", "--operator=ann", "--log-format=json", "--consumer=cart", "poison-1", "late")
		require.Equal(t, "2 messages are handled again\n", c.out)
		require.Contains(t, c.log, `"consumer":"cart","messages":2,"ids":["late","poison-1"],"operator":"ann","reason":"CASE-9"`)
		require.Equal(t, []string{"cart poison-2", "dispatch poison-3"}, deadLetterIDs(t, p))
		require.Equal(t, "1 message is handled again\n", replay(0, "--reason=x", "--consumer=cart", "--all").out)
		require.Equal(t, "0 messages are handled again\n", replay(0, "--reason=x", "--consumer=cart", "--all").out)
		require.Equal(t, []string{"dispatch poison-3"}, deadLetterIDs(t, p))

		// The consumer's process gives them up again.
		in := consumer(t, p, "cart")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); in.Run(ctx) }()
		require.Eventually(t, func() bool { return len(deadLetterIDs(t, p)) == 3 }, bound, pollPause)
		cancel()
		<-ended
	})
}

func TestMessagesOfADatabaseWithoutThem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sqlite.OpenDB(path)
	require.NoError(t, err)
	require.NoError(t, db.PingContext(t.Context()))
	require.NoError(t, db.Close())
	for _, args := range [][]string{{"outbox", "list"}, {"deadletter", "list"}} {
		c := runHere(t, 1, append(args, "--db=sqlite:"+path)...)
		require.Contains(t, c.log, "tcckit migrate")
		c = runHere(t, 1, append(args, "--db=sqlite:"+path+".none")...)
		require.Contains(t, c.log, "no such file")
		c = runHere(t, 2, args...)
		require.Contains(t, c.log, "--db is missing")
		c = runHere(t, 2, append(args, "--db=root@tcp(127.0.0.1:1)/")...)
		require.Contains(t, c.log, "names no database")
	}
}
