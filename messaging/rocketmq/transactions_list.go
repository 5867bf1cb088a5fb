package rocketmq

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Transaction is a row of the log: one business transaction's outcome.
type Transaction struct {
	// ID is that of the half message. The ids are in the order of time.
	ID string
	// MessageID is the UUID of the message as its consumers see it.
	MessageID, Topic string
	State            TransactionState
	// CreatedAt is when the outcome was written: for one that was rolled back at
	// the deadline, when a broker asked after that.
	CreatedAt time.Time
}

// ListTransactionsOptions says which to list.
type ListTransactionsOptions struct {
	// State, Topic and MessageID leave out others, if they are not empty.
	State            TransactionState
	Topic, MessageID string
	// After is the ID after which to go on.
	After string
	// Limit is the most to return. 0 means 100.
	Limit int
}

// ListTransactions returns outcomes in the order of time, oldest first. A
// transaction whose business refused is not among them, unless a broker asked
// about it, nor one that is still under way.
func ListTransactions(ctx context.Context, db *sql.DB, opts ListTransactionsOptions) ([]Transaction, error) {
	if opts.Limit == 0 {
		opts.Limit = 100
	}
	if opts.Limit < 0 {
		return nil, fmt.Errorf("rocketmq: list transactions: a limit of %d", opts.Limit)
	}
	all, err := listTransactions(ctx, db, opts)
	if err != nil {
		return nil, fmt.Errorf("rocketmq: list transactions: %w", err)
	}
	return all, nil
}

func listTransactions(ctx context.Context, db *sql.DB, opts ListTransactionsOptions) (all []Transaction, err error) {
	where, args := "id > ? AND id <> ?", []any{opts.After, nameID}
	for _, of := range []struct{ column, value string }{{"state", string(opts.State)}, {"topic", opts.Topic}, {"message_id", opts.MessageID}} {
		if of.value != "" {
			where, args = where+" AND "+of.column+" = ?", append(args, of.value)
		}
	}
	rows, err := db.QueryContext(ctx, "SELECT id, message_id, topic, state, created_at FROM message_transaction WHERE "+where+" ORDER BY id LIMIT ?", append(args, opts.Limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var t Transaction
		var created int64
		if err := rows.Scan(&t.ID, &t.MessageID, &t.Topic, &t.State, &created); err != nil {
			return nil, err
		}
		t.CreatedAt = time.UnixMilli(created).UTC()
		all = append(all, t)
	}
	return all, rows.Err()
}
