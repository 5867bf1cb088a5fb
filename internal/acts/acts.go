// Package acts keeps the record of what people had the coordinator do with single transactions: who, what, when
// and why. It lies in a participant's database, for DTM has no place for it.
package acts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/messaging"
)

// Kind is what was done.
type Kind string

// The kinds.
const (
	Retry Kind = "retry"
	Stop  Kind = "stop"
)

// Act is one record. It is written before the act and completed after it, so that what was begun and cut off shows.
type Act struct {
	ID   string // made by Begin
	GID  string
	Kind Kind
	// By and Reason are who and why; neither may be empty. What is longer than the table holds is cut.
	By, Reason string
	// Before and After are the transaction's status at the coordinator; After is empty as long as it is not known.
	Before, After string
	// Note is what was seen of it, or what went wrong.
	Note string
	// Started is when it was begun, Finished when it was complete, zero as long as it is not.
	Started, Finished time.Time
}

// Schema returns the statement that creates the table coordinator_act if it does not exist.
func Schema(d messaging.Dialect) string {
	if d == messaging.SQLite {
		return schemaSQLite
	}
	return schemaMySQL
}

const (
	schemaMySQL = `CREATE TABLE IF NOT EXISTS coordinator_act (
  gid           VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id            VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'retry, stop',
  done_by       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  reason        TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  status_before VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of the transaction, at the coordinator',
  status_after  VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  note          TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'what was seen of it',
  started_at    BIGINT NOT NULL COMMENT 'Unix ms',
  finished_at   BIGINT NULL COMMENT 'Unix ms; NULL: begun, and the end was not written down',
  PRIMARY KEY (gid, id)
) ENGINE = InnoDB`
	schemaSQLite = `CREATE TABLE IF NOT EXISTS coordinator_act (
  gid           TEXT NOT NULL,
  id            TEXT NOT NULL,
  kind          TEXT NOT NULL, -- retry, stop
  done_by       TEXT NOT NULL,
  reason        TEXT NOT NULL,
  status_before TEXT NOT NULL, -- of the transaction, at the coordinator
  status_after  TEXT,
  note          TEXT, -- what was seen of it
  started_at    INTEGER NOT NULL, -- Unix ms
  finished_at   INTEGER, -- Unix ms; NULL: begun, and the end was not written down
  PRIMARY KEY (gid, id)
) WITHOUT ROWID`
)

// Limits of the texts, in bytes.
const (
	maxBy   = 255
	maxText = 4096
)

// Log is the record in one database. The zero value is of no use.
type Log struct {
	DB      *sql.DB
	Dialect messaging.Dialect
}

// Begin writes down what is about to be done, and returns it with its id.
func (l Log) Begin(ctx context.Context, a Act) (Act, error) {
	if a.GID == "" || a.By == "" || a.Reason == "" {
		return a, errors.New("acts: a record needs a gid, who does it, and why")
	}
	a.By, a.Reason, a.ID = cut(a.By, maxBy), cut(a.Reason, maxText), rand.Text()
	_, err := l.DB.ExecContext(ctx, "INSERT INTO coordinator_act (gid, id, kind, done_by, reason, status_before, started_at) VALUES (?, ?, ?, ?, ?, ?, "+l.Dialect.Now()+")",
		a.GID, a.ID, string(a.Kind), a.By, a.Reason, a.Before)
	if err != nil {
		return a, fmt.Errorf("write down who does this and why: %w; a database that was set up by an earlier release needs `tcckit migrate`, one that tcckit does not migrate needs this table:\n%s", err, Schema(l.Dialect))
	}
	return a, nil
}

// End completes a record with the status after it, and what was seen.
func (l Log) End(ctx context.Context, a Act) error {
	_, err := l.DB.ExecContext(ctx, "UPDATE coordinator_act SET status_after = ?, note = ?, finished_at = "+l.Dialect.Now()+" WHERE gid = ? AND id = ?",
		a.After, cut(a.Note, maxText), a.GID, a.ID)
	if err != nil {
		return fmt.Errorf("write down what became of it: %w", err)
	}
	return nil
}

// Of returns what was done with a transaction, oldest first; nothing where there is no table.
func (l Log) Of(ctx context.Context, gid string) (list []Act, err error) {
	rows, err := l.DB.QueryContext(ctx, "SELECT id, kind, done_by, reason, status_before, COALESCE(status_after, ''), COALESCE(note, ''), started_at, finished_at"+
		" FROM coordinator_act WHERE gid = ? ORDER BY started_at, id", gid)
	if err != nil {
		if isMissing(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read what was done with %s: %w", gid, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		a := Act{GID: gid}
		var started int64
		var finished sql.NullInt64
		if err := rows.Scan(&a.ID, &a.Kind, &a.By, &a.Reason, &a.Before, &a.After, &a.Note, &started, &finished); err != nil {
			return nil, err
		}
		a.Started = time.UnixMilli(started)
		if finished.Valid {
			a.Finished = time.UnixMilli(finished.Int64)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// isMissing reports whether err says that there is no such table.
func isMissing(err error) bool {
	const noSuchTable = 1146
	var refused *mysqldriver.MySQLError
	if errors.As(err, &refused) {
		return refused.Number == noSuchTable
	}
	return strings.Contains(err.Error(), "no such table") // SQLite has no code for it
}

// cut shortens s to n bytes at the end of a character, of valid UTF-8.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
