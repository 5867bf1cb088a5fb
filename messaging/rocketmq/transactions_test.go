package rocketmq_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

func TestMessageArrivesIfTheTransactionCommits(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	for _, kind := range ledgers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, kind)
			topic := newTopic(t, bus, 4)
			got := readers(t, bus, topic)
			tx := newTransactions(t, on(t, bus, l))
			refused := errors.New("not today")
			var want []string
			var wg sync.WaitGroup
			n := testserver.Volume(60, 2000)
			limit := make(chan struct{}, 8)
			for i := range n {
				msg := newMessage()
				msg.Metadata.Set(messaging.MetadataKey, fmt.Sprint(i))
				work := book(msg.UUID)
				switch i % 4 {
				case 2:
					work = func(ctx context.Context, tx *sql.Tx) error {
						return errors.Join(book(msg.UUID)(ctx, tx), refused)
					}
				case 3:
					work = func(ctx context.Context, tx *sql.Tx) error {
						_ = book(msg.UUID)(ctx, tx)
						panic("no")
					}
				default:
					want = append(want, msg.UUID)
				}
				limit <- struct{}{}
				wg.Go(func() {
					defer func() { <-limit }()
					err := tx.Send(t.Context(), topic, msg, work)
					switch i % 4 {
					case 2:
						require.ErrorIs(t, err, refused)
					case 3:
						require.ErrorContains(t, err, "panicked: no")
					default:
						require.NoError(t, err)
					}
				})
			}
			wg.Wait()
			slices.Sort(want)
			require.Equal(t, want, l.effects(t))
			eventually(t, func() bool { return got.len() == len(want) }, func() string { return fmt.Sprintf("%d of %d arrived", got.len(), len(want)) })
			require.ElementsMatch(t, want, got.order())
		})
	}
}

// The business is in time only to be told that it is too late: another instance
// has answered the broker's question meanwhile.
func TestHeldUpTransactionIsRolledBackAfterTheDeadline(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	for _, kind := range ledgers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, kind)
			topic := newTopic(t, bus, 1)
			got := readers(t, bus, topic)
			cfg := on(t, bus, l)
			cfg.Deadline = 500 * time.Millisecond
			tx := newTransactions(t, cfg)
			late := newMessage()
			err := tx.Do(t.Context(), topic, late, func(_ context.Context, record func(context.Context, messaging.Tx) error) error {
				// A suspended process would not see the deadline of its context either.
				ctx := context.WithoutCancel(t.Context())
				l.becomes(t, late.UUID, rocketmq.TransactionRolledBack)
				own, err := l.db.BeginTx(ctx, nil)
				require.NoError(t, err)
				defer func() { _ = own.Rollback() }()
				if err := errors.Join(book(late.UUID)(ctx, own), record(ctx, own)); err != nil {
					return err
				}
				return own.Commit()
			})
			require.ErrorIs(t, err, rocketmq.ErrRolledBack)
			require.Empty(t, l.effects(t))

			stuck := newMessage()
			err = tx.Send(t.Context(), topic, stuck, func(ctx context.Context, own *sql.Tx) error {
				<-ctx.Done()
				return nil
			})
			require.ErrorIs(t, err, rocketmq.ErrRolledBack)

			marker := newMessage()
			require.NoError(t, tx.Send(t.Context(), topic, marker, book(marker.UUID)))
			got.arrives(t, marker.UUID)
			require.Equal(t, []string{marker.UUID}, got.order())
		})
	}
}
