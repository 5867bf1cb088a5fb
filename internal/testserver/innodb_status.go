package testserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// transaction is an open transaction of a connection.
type transaction struct {
	thread int64
	waits  bool   // for a lock
	text   string // what the server says about it
}

// allTransactions lists the server's open transactions from SHOW ENGINE INNODB STATUS. It is not taken
// from information_schema.innodb_trx: that is a copy, which the server makes anew only when nobody has
// read it for 100 ms, so whoever polls it, or shares the server with someone who does, reads the past.
func allTransactions(ctx context.Context, conn *sql.Conn) ([]transaction, error) {
	var engine, name, status string
	if err := conn.QueryRowContext(ctx, "SHOW ENGINE INNODB STATUS").Scan(&engine, &name, &status); err != nil {
		return nil, err
	}
	return parseTransactions(status)
}

var (
	sections = regexp.MustCompile(`(?m)^---TRANSACTION `)
	threadID = regexp.MustCompile(`(?m)^(?:MySQL|MariaDB) thread id (\d+),`)
)

// parseTransactions reads the list of transactions. An entry of it is
//
//	---TRANSACTION 1805, ACTIVE 5 sec starting index read
//	mysql tables in use 1, locked 1
//	LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)
//	MySQL thread id 31, OS thread handle 139, query id 60 127.0.0.1 tcckit updating
//	UPDATE t SET n = 2 WHERE id = 1
//
// followed by the lock that it waits for. Connections without a transaction are "not started".
func parseTransactions(status string) ([]transaction, error) {
	_, status, found := strings.Cut(status, "\nLIST OF TRANSACTIONS FOR EACH SESSION:\n")
	if !found {
		return nil, fmt.Errorf("SHOW ENGINE INNODB STATUS has no list of transactions: %q", status)
	}
	if strings.Contains(status, "\n... truncated...\n") {
		return nil, errors.New("SHOW ENGINE INNODB STATUS left out transactions: there are too many")
	}
	status, _, _ = strings.Cut(status, "\n--------\nFILE I/O\n")
	var open []transaction
	for _, text := range sections.Split(status, -1) {
		head, _, _ := strings.Cut(text, "\n")
		id := threadID.FindStringSubmatch(text)
		if id == nil || strings.Contains(head, ", not started") {
			continue
		}
		thread, err := strconv.ParseInt(id[1], 10, 64)
		if err != nil {
			return nil, err
		}
		open = append(open, transaction{
			thread: thread, waits: strings.Contains(text, "\nLOCK WAIT "), text: strings.TrimSpace(text),
		})
	}
	return open, nil
}
