package database

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
func (d Dialect) Now() string {
	if d == MySQL {
		// Not UNIX_TIMESTAMP(NOW(3)), which is ambiguous for one hour a year
		// in a session whose time zone has summer time.
		return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}
