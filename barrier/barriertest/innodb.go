package barriertest

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// innodbTransaction is an open transaction on the database.
type innodbTransaction struct {
	thread int64
	waits  bool // for a lock
}

var (
	innodbSections = regexp.MustCompile(`(?m)^---TRANSACTION `)
	innodbThread   = regexp.MustCompile(`(?m)^(?:MySQL|MariaDB) thread id (\d+),`)
)

// innodbTransactions lists the open transactions of the database's
// connections. It reads SHOW ENGINE INNODB STATUS, not innodb_trx: the server
// renews that table only when nobody has read it for 100 ms, so whoever polls
// it reads the past.
func innodbTransactions(ctx context.Context, db *sql.DB) ([]innodbTransaction, error) {
	var engine, name, status string
	if err := db.QueryRowContext(ctx, "SHOW ENGINE INNODB STATUS").Scan(&engine, &name, &status); err != nil {
		return nil, err
	}
	_, status, found := strings.Cut(status, "\nLIST OF TRANSACTIONS FOR EACH SESSION:\n")
	if !found {
		return nil, errors.New("SHOW ENGINE INNODB STATUS has no list of transactions")
	}
	status, _, _ = strings.Cut(status, "\n--------\nFILE I/O\n")
	mine, err := threads(ctx, db)
	if err != nil {
		return nil, err
	}
	var open []innodbTransaction
	for _, text := range innodbSections.Split(status, -1) {
		head, _, _ := strings.Cut(text, "\n")
		match := innodbThread.FindStringSubmatch(text)
		if match == nil || strings.Contains(head, ", not started") {
			continue
		}
		id, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return nil, err
		}
		if mine[id] {
			open = append(open, innodbTransaction{thread: id, waits: strings.Contains(text, "\nLOCK WAIT ")})
		}
	}
	return open, nil
}

// threads are the connections to the database. They are not read from
// information_schema.processlist, which on MySQL fails for everybody while
// anybody runs a statement with bytes that are no UTF-8.
func threads(ctx context.Context, db *sql.DB) (map[int64]bool, error) {
	var own string
	if err := db.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&own); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, "SHOW PROCESSLIST")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var (
		id       int64
		database sql.NullString
	)
	// Id, User, Host, db, and more columns in MariaDB than in MySQL.
	into := []any{&id, new(sql.RawBytes), new(sql.RawBytes), &database}
	for range columns[len(into):] {
		into = append(into, new(sql.RawBytes))
	}
	ids := make(map[int64]bool)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if database.String == own {
			ids[id] = true
		}
	}
	return ids, rows.Err()
}
