package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/mysqldsn"
)

// hold keeps everybody else from writing to a table, as a transaction does that takes its time, until it is
// released. The table can be read meanwhile.
func hold(ctx context.Context, dsn, table string) (release func() error, err error) {
	var (
		db    *sql.DB
		opts  *sql.TxOptions
		query = "SELECT COUNT(*) FROM " + table
	)
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		db, err = sqlite.OpenDB(path) // its transactions lock the whole file
	} else {
		db, err = openMySQL(dsn)
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead} // locks gaps, too: nothing can be inserted
		query += " FOR UPDATE"
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", table, err)
	}
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", table, err), db.Close())
	}
	release = func() error { return errors.Join(tx.Rollback(), db.Close()) }
	var rows int64
	if err := tx.QueryRowContext(ctx, query).Scan(&rows); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", table, err), release())
	}
	return release, nil
}

func openMySQL(dsn string) (*sql.DB, error) {
	cfg, err := mysqldsn.Parse(dsn)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}
