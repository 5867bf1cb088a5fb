package rocketmq

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tcckit/tcckit/messaging"
)

// transactionLog is the table message_transaction.
//
// A business transaction inserts COMMITTED as its last statement, and a check
// that finds nothing once the deadline has passed inserts ROLLED_BACK: the
// primary key lets one of the two succeed. A business that is held up before
// its last statement holds no lock that the check would wait for.
type transactionLog struct {
	db      *sql.DB
	dialect messaging.Dialect
	name    string // of this log, the same for all that share the database

	mu  sync.Mutex
	now int64     // the database's time in Unix ms...
	at  time.Time // ...at this moment here
}

// nameID is the id of the row with the log's name. No UUID is equal to it.
const nameID = "@"

// openLog looks at the table, and gives the log its name if it has none.
func openLog(ctx context.Context, db *sql.DB, d messaging.Dialect) (*transactionLog, error) {
	l := &transactionLog{db: db, dialect: d}
	err := l.readName(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := db.ExecContext(ctx, l.insert(stateLog), nameID, uuid.NewString(), ""); err != nil {
			return nil, fmt.Errorf("name the table message_transaction: %w", err)
		}
		err = l.readName(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("the table message_transaction cannot be read, run `tcckit migrate`, or TransactionSchema in your own migrations: %w", err)
	}
	return l, l.setClock(ctx)
}

func (l *transactionLog) readName(ctx context.Context) error {
	return l.db.QueryRowContext(ctx, "SELECT message_id FROM message_transaction WHERE id = ?", nameID).Scan(&l.name)
}

// insert is the statement that writes a row with id, message id and topic, and
// affects none if there is one with the id.
func (l *transactionLog) insert(s TransactionState) string {
	verb := "INSERT IGNORE"
	if l.dialect == messaging.SQLite {
		verb = "INSERT OR IGNORE"
	}
	return verb + " INTO message_transaction (id, message_id, topic, state, created_at) VALUES (?, ?, ?, '" + string(s) + "', " + l.dialect.Now() + ")"
}

// setClock learns the database's time.
func (l *transactionLog) setClock(ctx context.Context) error {
	before := time.Now()
	var now int64
	if err := l.db.QueryRowContext(ctx, "SELECT "+l.dialect.Now()).Scan(&now); err != nil {
		return fmt.Errorf("read the database's time: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.at = now, before
	return nil
}

// clock is the database's time in Unix ms, as far as is known here.
func (l *transactionLog) clock() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now + time.Since(l.at).Milliseconds()
}

// find returns a transaction's outcome, empty if there is none yet, and the
// database's time.
func (l *transactionLog) find(ctx context.Context, tx messaging.Tx, id string) (s TransactionState, now int64, err error) {
	// A scalar subquery: the time is wanted if there is no row.
	var state sql.NullString
	err = tx.QueryRowContext(ctx, "SELECT (SELECT state FROM message_transaction WHERE id = ?), "+l.dialect.Now(), id).Scan(&state, &now)
	return TransactionState(state.String), now, err
}

// errHeldUp says that the business transaction has written its outcome and not
// committed yet.
var errHeldUp = errors.New("the business transaction has not ended")

// rollBack returns the transaction's outcome, which it decides if there is none:
// from then on the business cannot commit.
func (l *transactionLog) rollBack(ctx context.Context, e entry) (s TransactionState, err error) {
	tx, err := l.db.BeginTx(ctx, l.txOptions())
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it is an error of no interest
	if l.dialect == messaging.MySQL {
		// Not to wait for a business that is held up between its last statement
		// and its COMMIT.
		var state string
		err := tx.QueryRowContext(ctx, "SELECT state FROM message_transaction WHERE id = ? FOR UPDATE NOWAIT", e.id).Scan(&state)
		switch {
		case err == nil:
			return TransactionState(state), nil
		case !errors.Is(err, sql.ErrNoRows):
			return "", fmt.Errorf("%w: %w", errHeldUp, err)
		}
	}
	n, err := affected(tx.ExecContext(ctx, l.insert(TransactionRolledBack), e.id, e.messageID, e.topic))
	if err != nil {
		return "", err
	}
	if n == 0 {
		s, _, err := l.find(ctx, tx, e.id)
		return s, err
	}
	if err := tx.Commit(); err != nil {
		return "", err
	}
	return TransactionRolledBack, nil
}

// txOptions are those of a business transaction, and of ours.
func (l *transactionLog) txOptions() *sql.TxOptions {
	if l.dialect == messaging.MySQL {
		// Under REPEATABLE READ a look at a row that is absent would hold up
		// others who insert theirs beside it.
		return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return nil
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
