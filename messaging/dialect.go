package messaging

import "fmt"

// Dialect says how a database is spoken to.
type Dialect string

// The dialects.
const (
	// MySQL is MySQL 8.0 or later and MariaDB 10.6 or later.
	MySQL Dialect = "mysql"
	// SQLite is a file of one machine. Its transactions must begin as
	// BEGIN IMMEDIATE: one that reads first and writes then may fail with
	// SQLITE_BUSY at once, however long its busy timeout.
	SQLite Dialect = "sqlite"
)

// Validate reports a dialect that is none.
func (d Dialect) Validate() error {
	if d != MySQL && d != SQLite {
		return fmt.Errorf("messaging: dialect %q: want %s or %s", string(d), MySQL, SQLite)
	}
	return nil
}

// Now is an expression for the database's time in Unix milliseconds. Leases and
// times at which something is due are compared by it, since the clocks of
// replicas differ.
func (d Dialect) Now() string {
	if d == MySQL {
		// Not UNIX_TIMESTAMP(NOW(3)), which is ambiguous for one hour a year
		// in a session whose time zone has summer time.
		return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}

// SkipLocked is what makes a SELECT lock the rows that it reads and pass over
// those that another transaction has locked, with a leading space. On SQLite it
// is empty: a transaction that writes is alone there.
func (d Dialect) SkipLocked() string {
	if d == MySQL {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}
