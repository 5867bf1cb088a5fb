package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// An order is confirmed and a shipment asked for, in one transaction; the
// warehouse answers.
func Example() {
	if err := ship(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the warehouse got: order 7
	// the shop heard: shipped, order 7
}

func ship(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sqlite.OpenDB(filepath.Join(dir, "shop.db"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, s := range []string{outbox.Schema(messaging.SQLite), "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)", "INSERT INTO orders VALUES (7, 'PENDING')"} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}

	// Any of watermill's brokers will do. This one takes nothing while nobody
	// listens, so the listeners come first.
	broker := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: 16}, nil)
	defer func() { _ = broker.Close() }()
	shipments, err := broker.Subscribe(ctx, "shipments")
	if err != nil {
		return err
	}
	results, err := broker.Subscribe(ctx, "results")
	if err != nil {
		return err
	}

	out, err := outbox.New(ctx, outbox.Config{DB: db, Dialect: messaging.SQLite, ResultTopic: "results"})
	if err != nil {
		return err
	}
	relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: out, Publisher: broker})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { relay.Run(running) })

	// The business and its message, or neither.
	err = transact(ctx, db, out, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE orders SET state = 'CONFIRMED' WHERE id = 7"); err != nil {
			return err
		}
		return out.Write(ctx, tx, outbox.Message{Topic: "shipments", Key: "7", Ordered: true, Payload: []byte("order 7"), ExpectResult: true})
	})
	if err != nil {
		return err
	}

	// The warehouse has an outbox of its own; here it is the same one.
	request := <-shipments
	fmt.Printf("the warehouse got: %s\n", request.Payload)
	err = transact(ctx, db, out, func(tx *sql.Tx) error {
		result, _ := outbox.ResultOf(request, false, "")
		return out.Write(ctx, tx, result)
	})
	if err != nil {
		return err
	}
	request.Ack()

	answer := <-results
	return transact(ctx, db, out, func(tx *sql.Tx) error { return hear(ctx, tx, out, answer) })
}

// hear takes the warehouse's answer.
func hear(ctx context.Context, tx *sql.Tx, out *outbox.Outbox, msg *message.Message) error {
	defer msg.Ack()
	res, first, err := out.Settle(ctx, tx, msg)
	if err == nil && first && !res.Failed {
		fmt.Printf("the shop heard: shipped, %s\n", res.Payload)
	}
	return err
}

func transact(ctx context.Context, db *sql.DB, out *outbox.Outbox, work func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := work(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	out.Wake()
	return nil
}
