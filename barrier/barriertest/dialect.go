package barriertest

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Dialect names the SQL that a database speaks.
type Dialect string

// The dialects that the suite knows.
const (
	MySQL   Dialect = "mysql"
	MariaDB Dialect = "mariadb"
	SQLite  Dialect = "sqlite"
)

// rowLocks reports whether the database locks rows, so that two transactions
// can write at once. SQLite has one writer.
func (d Dialect) rowLocks() bool { return d != SQLite }

// schema returns the statements that create the business tables.
func (d Dialect) schema() []string {
	id, number, blob, engine := "VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin", "BIGINT", "LONGBLOB", " ENGINE = InnoDB"
	gid := "VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin"
	if d == SQLite {
		id, number, blob, engine, gid = "TEXT", "INTEGER", "BLOB", "", "TEXT"
	}
	var out []string
	for _, k := range []kind{account, stock} {
		out = append(out, fmt.Sprintf(
			"CREATE TABLE %s (id %s NOT NULL PRIMARY KEY, available %s NOT NULL CHECK (available >= 0), %s %s NOT NULL CHECK (%[4]s >= 0), %[6]s %[5]s NOT NULL CHECK (%[6]s >= 0))%[7]s",
			k.table, id, number, k.held, number, k.gone, engine))
	}
	return append(out,
		// The ledger has one row for each run of a business function that
		// took effect. n makes each row distinct, so that a second run shows
		// as a second row and not as an error.
		fmt.Sprintf("CREATE TABLE ledger (gid %s NOT NULL, n %s NOT NULL, branch_id %s NOT NULL, phase %s NOT NULL, PRIMARY KEY (gid, n))%s", gid, number, gid, id, engine),
		fmt.Sprintf("CREATE TABLE memo (id %s NOT NULL PRIMARY KEY, body %s NULL)%s", id, blob, engine),
		fmt.Sprintf("CREATE TABLE pool_probe (id %s NOT NULL PRIMARY KEY)%s", number, engine),
	)
}

// age makes barrier rows older by d.
func (d Dialect) age(ctx context.Context, db *sql.DB, gid, branchID string, by time.Duration) error {
	query, n := "UPDATE sub_transaction_barrier SET updated_at = updated_at - INTERVAL ? MICROSECOND WHERE gid = ? AND branch_id = ?", by.Microseconds()
	if d == SQLite {
		query, n = "UPDATE sub_transaction_barrier SET updated_at = updated_at - ? WHERE gid = ? AND branch_id = ?", by.Milliseconds()
	}
	res, err := db.ExecContext(ctx, query, n, gid, branchID)
	if err != nil {
		return err
	}
	if rows, err := res.RowsAffected(); err != nil || rows != 1 {
		return fmt.Errorf("aged %d rows of %s/%s, want 1: %w", rows, gid, branchID, err)
	}
	return nil
}

// transactions counts the open transactions of the database, whoever's, and
// those of them that wait for a lock.
func (d Dialect) transactions(ctx context.Context, db *sql.DB) (open, waiting int, err error) {
	if d == SQLite {
		open, err = sqliteTransactions(ctx, db)
		return open, 0, err
	}
	all, err := innodbTransactions(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	for _, tx := range all {
		if tx.waits {
			waiting++
		}
	}
	return len(all), waiting, nil
}

// sqliteTransactions tells writers and readers by what they keep from
// happening: a writer another's BEGIN IMMEDIATE, a reader a checkpoint that
// empties the log.
func sqliteTransactions(ctx context.Context, db *sql.DB) (int, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	var patience int64
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&patience); err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return 0, err
	}
	defer func() { _, _ = conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", patience)) }()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return 1, nil
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		return 0, err
	}
	var busy, logged, moved int
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved); err != nil {
		return 0, err
	}
	return busy, nil
}
