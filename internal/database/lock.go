package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3/lock"
)

// locker lets one of several migrations at once go ahead.
func (s source) locker() lock.SessionLocker {
	if s.dialect == SQLite {
		return &fileLocker{path: s.path + "-migrate-lock"}
	}
	return namedLocker{name: lockName(s.mysql)}
}

// namedLocker holds a lock of the MySQL server, which ends with the
// connection: a migration that dies never leaves it behind.
type namedLocker struct{ name string }

// lockName is the database's own; MySQL allows 64 characters.
func lockName(cfg *mysqldriver.Config) string {
	sum := sha256.Sum256([]byte(cfg.DBName))
	return "tcckit.migrate." + hex.EncodeToString(sum[:16])
}

// lockRound is how long the server is asked to wait at a time, in seconds: a
// caller that goes away leaves the wait behind for no longer.
const lockRound = 1

func (l namedLocker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for {
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", l.name, lockRound).Scan(&got); err != nil {
			return fmt.Errorf("wait for another migration of this database: %w", err)
		}
		if got.Int64 == 1 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("another migration of this database does not end: %w", err)
		}
	}
}

func (l namedLocker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", l.name)
	return err
}

// fileLocker holds an exclusive transaction on an empty SQLite file of its
// own: SQLite locks files portably, and a process that dies lets go.
type fileLocker struct {
	path string
	db   *sql.DB
	tx   *sql.Tx
}

func (l *fileLocker) SessionLock(ctx context.Context, _ *sql.Conn) error {
	q := url.Values{"_txlock": {"exclusive"}, "_pragma": {"busy_timeout(1000)"}}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: l.path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	for {
		// The transaction must outlive this call, and ends in SessionUnlock.
		tx, err := db.BeginTx(context.WithoutCancel(ctx), nil)
		if err == nil {
			l.db, l.tx = db, tx
			return nil
		}
		if classify(err) != again {
			return errors.Join(fmt.Errorf("lock %s: %w", l.path, err), db.Close())
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("another migration of this database does not end: %w", ctx.Err()), db.Close())
		}
	}
}

func (l *fileLocker) SessionUnlock(context.Context, *sql.Conn) error {
	return errors.Join(l.tx.Rollback(), l.db.Close())
}
