package rocketmq_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// envTransactionChild makes the test binary a process that is killed in the
// middle of a transaction: see TestProducerKilled.
const envTransactionChild = "TCCKIT_TEST_ROCKETMQ_TRANSACTION_CHILD"

// assignment is what such a process does.
type assignment struct {
	NameServer, Group, Topic, ID string
	Dialect                      messaging.Dialect
	Source                       string // of the ledger
	Deadline                     time.Duration
	Until                        moment
}

// moment is where a process stops and waits for its end.
type moment string

const (
	beforeRecord moment = "before record"
	beforeCommit moment = "before commit"
	afterCommit  moment = "after commit" // and before the broker is told
)

// runTransactionChild runs a transaction up to a moment, says so, and waits.
func runTransactionChild(order string) error {
	var a assignment
	if err := json.Unmarshal([]byte(order), &a); err != nil {
		return err
	}
	ctx := context.Background()
	bus, err := rocketmq.Open(ctx, rocketmq.Config{NameServers: []string{a.NameServer}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	db, err := connectLedger(a.Dialect, a.Source)
	if err != nil {
		return err
	}
	tx, err := rocketmq.NewTransactions(ctx, rocketmq.TransactionsConfig{Bus: bus, Group: a.Group, DB: db, Dialect: a.Dialect, Deadline: a.Deadline})
	if err != nil {
		return err
	}
	reach := func(m moment) {
		if m == a.Until {
			fmt.Println("there")
			select {}
		}
	}
	return tx.Do(ctx, a.Topic, message.NewMessage(a.ID, []byte("payload")), func(_ context.Context, record func(context.Context, messaging.Tx) error) error {
		own, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := book(a.ID)(ctx, own); err != nil {
			return err
		}
		reach(beforeRecord)
		if err := record(ctx, own); err != nil {
			return err
		}
		reach(beforeCommit)
		if err := own.Commit(); err != nil {
			return err
		}
		reach(afterCommit)
		return nil
	})
}

// TestProducerKilled: the process dies (kill -9) after its half message was
// stored and before the broker was told the outcome. Another instance answers,
// one that was there all the time or the process's successor, which the broker
// knows of only because it has made itself known.
func TestProducerKilled(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	const deadline = 2 * time.Second
	for _, c := range []struct {
		kind      string
		until     moment
		successor bool // the other instance is started afterwards
		committed bool
	}{
		{"mysql", beforeRecord, true, false},
		{"mysql", beforeCommit, false, false},
		{"mysql", afterCommit, true, true},
		{"mysql", afterCommit, false, true},
		{"mariadb", beforeCommit, true, false},
		{"mariadb", afterCommit, true, true},
		{"sqlite", beforeCommit, true, false},
		{"sqlite", afterCommit, true, true},
	} {
		name := fmt.Sprintf("%s/%s/successor=%t", c.kind, c.until, c.successor)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, c.kind)
			topic := newTopic(t, bus, 1)
			got := readers(t, bus, topic)
			cfg := on(t, bus, l)
			cfg.Deadline = deadline
			var tx *rocketmq.Transactions
			if !c.successor {
				tx = newTransactions(t, cfg)
			}
			msg := newMessage()
			killAt(t, assignment{
				NameServer: testserver.RocketMQ(t), Group: cfg.Group, Topic: topic, ID: msg.UUID,
				Dialect: l.dialect, Source: l.source, Deadline: deadline, Until: c.until,
			})
			if c.successor {
				tx = newTransactions(t, cfg)
			}
			if c.committed {
				got.arrives(t, msg.UUID)
				require.Equal(t, []string{msg.UUID}, l.effects(t))
				return
			}
			l.becomes(t, msg.UUID, rocketmq.TransactionRolledBack)
			require.Empty(t, l.effects(t))
			marker := newMessage()
			require.NoError(t, tx.Send(t.Context(), topic, marker, book(marker.UUID)))
			got.arrives(t, marker.UUID)
			require.Zero(t, got.times(msg.UUID))
		})
	}
}

// killAt starts a process that runs an assignment, and kills it when it is there.
func killAt(t *testing.T, a assignment) {
	t.Helper()
	order, err := json.Marshal(a)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envTransactionChild+"="+string(order))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, err)
	require.Equal(t, "there\n", line)
}
