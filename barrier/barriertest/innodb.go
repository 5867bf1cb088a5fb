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

// threads are the connections to the database.
func threads(ctx context.Context, db *sql.DB) (map[int64]bool, error) {
	rows, err := db.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	ids := make(map[int64]bool)
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids[id] = true
	}
	return ids, rows.Err()
}
