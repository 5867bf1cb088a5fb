package testserver

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// process is a connection to a server, as SHOW PROCESSLIST has it.
type process struct {
	thread int64
	text   string // what it does, for messages
}

// processes lists the connections to a database. It is not read from information_schema.processlist:
// MySQL fails that for everybody while anybody's statement holds bytes that are no UTF-8.
func processes(ctx context.Context, conn *sql.Conn, database string) ([]process, error) {
	rows, err := conn.QueryContext(ctx, "SHOW PROCESSLIST")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns() // MariaDB has one more
	if err != nil {
		return nil, err
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var found []process
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make(map[string]string, len(columns))
		for i, name := range columns {
			row[name] = values[i].String
		}
		if row["db"] != database {
			continue
		}
		thread, err := strconv.ParseInt(row["Id"], 10, 64)
		if err != nil {
			return nil, err
		}
		found = append(found, process{thread, fmt.Sprintf("thread %d: %s for %s s, %q: %q",
			thread, row["Command"], row["Time"], row["State"], row["Info"])})
	}
	return found, rows.Err()
}

// connections lists who uses a database, for messages.
func connections(ctx context.Context, conn *sql.Conn, database string) string {
	found, err := processes(ctx, conn, database)
	if err != nil {
		return err.Error()
	}
	texts := make([]string, len(found))
	for i, p := range found {
		texts[i] = p.text
	}
	return "[" + strings.Join(texts, "; ") + "]"
}
