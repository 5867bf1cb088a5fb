package database

import "github.com/tcckit/tcckit/messaging"

// Dialect is a family of databases. Its text names the folder of its
// migrations.
type Dialect string

// The dialects.
const (
	// MySQL is MySQL 8.0 or later and MariaDB 10.6 or later.
	MySQL Dialect = "mysql"
	// SQLite is a file, for one machine.
	SQLite Dialect = "sqlite"
)

// ForUpdate is what makes a SELECT lock the rows that it reads, with a leading
// space. On SQLite it is empty: a transaction that writes is alone there.
func (d Dialect) ForUpdate() string {
	if d == MySQL {
		return " FOR UPDATE"
	}
	return ""
}

// Now is an expression for the database's time in Unix milliseconds. Leases
// are compared by it, since the clocks of replicas differ.
func (d Dialect) Now() string { return messaging.Dialect(d).Now() }
