package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// A cart forgets what was ordered, however often it is told.
func Example() {
	if err := runExample(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 2 lines in the cart
	// dead letter m2: invalid character 'o' in literal null (expecting 'u')
	// 1 lines in the cart
}

func runExample(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "cart")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sqlite.OpenDB(filepath.Join(dir, "cart.db"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, s := range []string{inbox.Schema(messaging.SQLite), "CREATE TABLE cart (sku TEXT, qty INTEGER)", "INSERT INTO cart VALUES ('tea', 5), ('cup', 1)"} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}

	// Any watermill broker will do. What was published is acknowledged when
	// Publish returns.
	broker := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	box, err := inbox.New(ctx, inbox.Config{
		DB: db, Dialect: messaging.SQLite, Consumer: "cart", Topic: "order.confirmed",
		Handler: func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			var line struct {
				SKU string
				Qty int
			}
			if err := json.Unmarshal(msg.Payload, &line); err != nil {
				return nil, messaging.Permanent(err)
			}
			return func(ctx context.Context, tx *inbox.Tx) error {
				if _, err := tx.ExecContext(ctx, "UPDATE cart SET qty = qty - ? WHERE sku = ?", line.Qty, line.SKU); err != nil {
					return err
				}
				_, err := tx.ExecContext(ctx, "DELETE FROM cart WHERE qty <= 0")
				return err
			}, nil
		},
		DeadLetters: broker,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	router.AddConsumerHandler("cart", "order.confirmed", broker, box.Handle)
	dead, err := broker.Subscribe(ctx, "cart-dead")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { box.Run(ctx) })
	running.Go(func() { _ = router.Run(ctx) })
	<-router.Running()
	show := func() error {
		var n int
		err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM cart").Scan(&n)
		fmt.Println(n, "lines in the cart")
		return err
	}

	// Three of five, told four times: two are left.
	ordered := message.NewMessage("m1", []byte(`{"sku": "tea", "qty": 3}`))
	for range 4 {
		err = errors.Join(err, broker.Publish("order.confirmed", ordered))
	}
	err = errors.Join(err, show())

	// One that cannot be read is a dead letter.
	err = errors.Join(err, broker.Publish("order.confirmed", message.NewMessage("m2", []byte("nonsense"))))
	letter := <-dead
	fmt.Printf("dead letter %s: %s\n", letter.UUID, letter.Metadata.Get(messaging.MetadataReason))
	letter.Ack()

	err = errors.Join(err, broker.Publish("order.confirmed", message.NewMessage("m3", []byte(`{"sku": "cup", "qty": 1}`))), show())
	stop()
	running.Wait()
	return errors.Join(err, broker.Close())
}
