package rocketmq_test

import (
	"context"
	"database/sql"
	"errors"
	"log"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// A debit and the message about it: both happen or neither does.
func ExampleTransactions_Send() {
	ctx := context.Background()
	var db *sql.DB // the bank's, with the table of rocketmq.TransactionSchema

	bus, err := rocketmq.Open(ctx, rocketmq.Config{NameServers: []string{"rocketmq-namesrv:9876"}})
	if err != nil {
		log.Print(err)
		return
	}
	defer bus.Close()
	transactions, err := rocketmq.NewTransactions(ctx, rocketmq.TransactionsConfig{
		Bus: bus, Group: "bank", DB: db, Dialect: messaging.MySQL,
	})
	if err != nil {
		log.Print(err)
		return
	}
	msg := message.NewMessage(watermill.NewUUID(), []byte(`{"to": "bob", "amount": 100}`))
	err = transactions.Send(ctx, "transfer.sent", msg, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE account SET balance = balance - 100 WHERE id = 'alice'")
		return err
	})
	switch {
	case errors.Is(err, rocketmq.ErrOutcomeUnknown):
		log.Print("look into the account later: the message goes with it") // not "send it again"
	case errors.Is(err, messaging.ErrUnavailable):
		log.Print("nothing happened, try again later")
	}
}
