package inbox

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"syscall"

	mysqldriver "github.com/go-sql-driver/mysql"
)

// Error numbers of MySQL and MariaDB.
const (
	erSnapshotChanged     = 1020 // MariaDB with innodb_snapshot_isolation
	erTooManyConnections  = 1040
	erShutdown            = 1053
	erDuplicateKey        = 1062
	erTooManyForUser      = 1203
	erLockWait            = 1205
	erDeadlock            = 1213
	erReadOnlyOption      = 1290
	erInterrupted         = 1317
	erReadOnlyTransaction = 1792
	erReadOnlyMode        = 1836
	erKilled              = 1927 // MariaDB
	erVetoed              = 3101 // Group Replication
	erClientTimeout       = 4031
)

// Result codes of SQLite. They are written down here, so that who uses MySQL
// does not get SQLite into the program.
const (
	sqliteBusy                 = 5
	sqliteLocked               = 6
	sqliteReadOnly             = 8
	sqliteIOErr                = 10
	sqliteFull                 = 13
	sqliteCantOpen             = 14
	sqliteConstraintPrimaryKey = 19 | 6<<8
	sqliteConstraintUnique     = 19 | 8<<8
)

// coded is an error of modernc.org/sqlite.
type coded interface {
	error
	Code() int
}

// class says what an error of the database means for a transaction.
type class uint8

const (
	final    class = iota // the statement failed for good
	lockWait              // it waited too long; the transaction lives on
	undone                // the server has ended the transaction
	away                  // no connection, or no work is taken for now
)

func classify(err error) class {
	var me *mysqldriver.MySQLError
	var se coded
	var ne *net.OpError
	switch {
	case err == nil:
	case errors.As(err, &me):
		switch me.Number {
		case erLockWait:
			return lockWait
		case erDeadlock, erSnapshotChanged, erVetoed:
			return undone
		case erInterrupted, erKilled, erClientTimeout, erTooManyConnections, erTooManyForUser, erShutdown, erReadOnlyOption, erReadOnlyTransaction, erReadOnlyMode:
			return away
		}
	case errors.As(err, &se):
		switch se.Code() & 0xff {
		case sqliteBusy, sqliteLocked:
			return undone
		case sqliteReadOnly, sqliteIOErr, sqliteFull, sqliteCantOpen:
			return away
		}
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysqldriver.ErrInvalidConn), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.As(err, &ne):
		return away
	}
	return final
}

// isDuplicate reports whether err says that a row of that key exists.
func isDuplicate(err error) bool {
	var me *mysqldriver.MySQLError
	if errors.As(err, &me) {
		return me.Number == erDuplicateKey
	}
	var se coded
	return errors.As(err, &se) && (se.Code() == sqliteConstraintPrimaryKey || se.Code() == sqliteConstraintUnique)
}

// databaseError is what the inbox's own statements met, or what ended the
// transaction under the work: it is not held against the message.
type databaseError struct{ cause error }

func (e *databaseError) Error() string { return "database: " + e.cause.Error() }
func (e *databaseError) Unwrap() error { return e.cause }
