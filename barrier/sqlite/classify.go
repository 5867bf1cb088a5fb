package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// Classify implements sqlbranch.Backend.
func (s *Store) Classify(err error) sqlbranch.Class {
	switch code(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return sqlbranch.LockWait
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR:
		return sqlbranch.Away
	}
	return sqlbranch.Final
}

// alive reports whether the transaction is as it was before the statement
// that failed with err. SQLite rolls a whole transaction back for many errors,
// but only the statement for a violated constraint.
func alive(err error) bool { return code(err) == sqlite3.SQLITE_CONSTRAINT }

// code returns the primary result code of a SQLite error, 0 for other errors.
func code(err error) int {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return 0
	}
	return se.Code() & 0xff
}
