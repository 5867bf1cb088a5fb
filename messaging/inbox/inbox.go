package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
)

// Inbox handles the messages of one consumer. It is safe for concurrent use, and
// several processes may have one of the same name.
type Inbox struct {
	cfg       Config
	sql       statements
	txOptions *sql.TxOptions
	telemetry *telemetry
	running   running
	// retry and bury wake the loops of Run.
	retry, bury bell
	// refused counts the messages refused in a row because the database is
	// away.
	refused atomic.Int32
	// unpublished counts the dead letters that could not be published in a
	// row.
	unpublished atomic.Int32
}

// New returns an inbox. Its error names everything that is wrong with cfg, or
// what is wrong with the database.
func New(ctx context.Context, cfg Config) (*Inbox, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	cfg.Logger = cfg.Logger.With("consumer", cfg.Consumer)
	i := &Inbox{cfg: cfg, sql: newStatements(cfg.Dialect), retry: make(bell, 1), bury: make(bell, 1)}
	if err := check(ctx, cfg.DB, cfg.Dialect); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	var err error
	if i.txOptions, err = isolation(ctx, cfg.DB, cfg.Dialect); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	if i.telemetry, err = newTelemetry(cfg); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	return i, nil
}

// Handle handles a message; it is a message.NoPublishHandlerFunc. Nil says that
// it may be acknowledged: it was handled, now or before, or its row in the
// database says what is to be done with it. An error says that the broker must
// deliver it again: the database is away, the message's context has ended, or,
// with Config.Ordered, it failed. Such an error comes after a pause, which the
// message's context ends, so that a broker that delivers again at once does not
// turn in circles.
func (i *Inbox) Handle(msg *message.Message) error {
	ctx, end := i.telemetry.begin(msg.Context(), i, msg)
	o, err := i.receive(ctx, msg)
	end(o, err)
	return err
}

func (i *Inbox) receive(ctx context.Context, msg *message.Message) (outcome, error) {
	r := &run{id: rowID(msg.UUID), msg: msg, tries: 1, inPlace: i.cfg.Ordered}
	for range attempts {
		err := i.do(ctx, r)
		if err == nil {
			i.refused.Store(0)
			i.telemetry.ended(ctx, r)
			return outcomeDone, nil
		}
		var v verdict
		if !errors.Is(err, errExists) {
			if ctx.Err() != nil {
				return outcomeRefused, fmt.Errorf("inbox: message %s: %w", r.id, err)
			}
			cause := err
			if v, err = i.settle(ctx, r, cause); err == nil {
				return i.settled(ctx, r, v, cause)
			}
		}
		known := false
		if errors.Is(err, errExists) {
			known, err = i.resume(ctx, r)
		}
		switch {
		case err != nil:
			return i.refuse(ctx, r, err)
		case known:
			return outcomeDuplicate, nil
		}
	}
	return i.refuse(ctx, r, errors.New("other deliveries of it are always faster"))
}

// settled answers the broker for a message whose failure is in its row.
func (i *Inbox) settled(ctx context.Context, r *run, v verdict, cause error) (outcome, error) {
	i.refused.Store(0)
	if v.state == Dead {
		return outcomeDead, nil
	}
	if !r.inPlace {
		return outcomeParked, nil
	}
	_ = pause(ctx, v.delay)
	return outcomeRefused, fmt.Errorf("inbox: message %s failed %d times and stays in its place: %w", r.id, r.tries, cause)
}

// refuse gives a message back to the broker, for nothing can be written down.
func (i *Inbox) refuse(ctx context.Context, r *run, err error) (outcome, error) {
	_ = pause(ctx, min(i.cfg.Backoff.after(int(min(i.refused.Add(1), 16))), maxRefusal))
	return outcomeRefused, fmt.Errorf("inbox: message %s is left to the broker: %w", r.id, err)
}

// maxRefusal bounds the pause before a message is given back.
const maxRefusal = 5 * time.Second

// check finds out whether the table is there.
func check(ctx context.Context, db *sql.DB, d messaging.Dialect) error {
	var n int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT consumer, message_id, state, tries, excused, due_at, claimed_by, topic, payload, metadata, last_error, received_at, parked_at, updated_at FROM inbox WHERE 1 = 0) t").Scan(&n)
	if err != nil {
		return fmt.Errorf("the database has no table inbox of the right columns: run `tcckit migrate`, or create it with inbox.Schema in the consumer's migrations (%w)", err)
	}
	if d != messaging.MySQL {
		return nil
	}
	var engine string
	if err := db.QueryRowContext(ctx, "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'inbox'").Scan(&engine); err != nil {
		return fmt.Errorf("look at the table inbox: %w", err)
	}
	if !strings.EqualFold(engine, "InnoDB") {
		return fmt.Errorf("the table inbox has the engine %s, which has no transactions: it must be InnoDB", engine)
	}
	return nil
}

// isolation returns how transactions begin. READ COMMITTED keeps deliveries of
// different messages from locking each other's gaps; where the sessions have it
// already, to ask for it would be a round trip for nothing.
func isolation(ctx context.Context, db *sql.DB, d messaging.Dialect) (*sql.TxOptions, error) {
	if d != messaging.MySQL {
		return nil, nil
	}
	// The variable has one name on MySQL and, to 10.11, another on MariaDB.
	var name, level string
	err := db.QueryRowContext(ctx, "SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')").Scan(&name, &level)
	if err != nil {
		return nil, fmt.Errorf("ask for the isolation level: %w", err)
	}
	if level == "READ-COMMITTED" {
		return nil, nil
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}, nil
}
