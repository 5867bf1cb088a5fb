package database

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	mysqldriver "github.com/go-sql-driver/mysql"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tcckit/tcckit/tcc"
)

// Error numbers of MySQL and MariaDB.
const (
	erTooManyConnections   = 1040
	erDatabaseAccessDenied = 1044
	erAccessDenied         = 1045
	erUnknownDatabase      = 1049
	erShutdown             = 1053
	erDuplicateKey         = 1062
	erNoSuchTable          = 1146
	erTooManyForUser       = 1203
	erLockWait             = 1205
	erDeadlock             = 1213
	erReadOnlyOption       = 1290
	erInterrupted          = 1317
	erReadOnlyTransaction  = 1792
	erReadOnlyMode         = 1836
	erSnapshotChanged      = 1020 // MariaDB with innodb_snapshot_isolation
	erKilled               = 1927 // MariaDB
	erClientTimeout        = 4031
)

// class says what to do about a database's error.
type class uint8

const (
	final class = iota // it stays
	again              // the server has undone it: run it once more
	lost               // the connection is gone, perhaps with an answer
	away               // no work is taken for now
)

func classify(err error) class {
	var me *mysqldriver.MySQLError
	var se *sqlitedriver.Error
	var ne *net.OpError
	switch {
	case errors.As(err, &me):
		switch me.Number {
		case erDeadlock, erLockWait, erSnapshotChanged:
			return again
		case erInterrupted, erKilled, erClientTimeout:
			return lost
		case erTooManyConnections, erTooManyForUser, erShutdown, erReadOnlyOption, erReadOnlyTransaction, erReadOnlyMode:
			return away
		}
	case errors.As(err, &se):
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return again
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR:
			return away
		}
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysqldriver.ErrInvalidConn),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.As(err, &ne):
		return lost
	}
	return final
}

// Transient returns err, wrapped by tcc.Retry if it is of a kind that passes:
// a deadlock, a lost connection, a server that takes no work for now.
func Transient(err error) error {
	if err == nil || classify(err) == final || errors.Is(err, tcc.ErrUnavailable) {
		return err
	}
	return tcc.Retry(err)
}

// IsDuplicate reports whether err says that a row of that key exists.
func IsDuplicate(err error) bool {
	var se *sqlitedriver.Error
	if errors.As(err, &se) {
		return se.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || se.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
	}
	return isMySQL(err, erDuplicateKey)
}

func isMySQL(err error, number uint16) bool {
	var me *mysqldriver.MySQLError
	return errors.As(err, &me) && me.Number == number
}

var (
	errNoDatabase = errors.New("it does not exist: run `tcckit migrate` first")
	errBehind     = errors.New("its tables are not up to date: run `tcckit migrate` first")
)

// explain adds to an error at start what to do about it.
func explain(err error) error {
	var ne *net.OpError
	switch {
	case isMySQL(err, erUnknownDatabase):
		return fmt.Errorf("%w (%w)", errNoDatabase, err)
	case isMySQL(err, erAccessDenied), isMySQL(err, erDatabaseAccessDenied):
		return fmt.Errorf("the server refuses the DSN's user or password: %w", err)
	case errors.As(err, &ne), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server cannot be reached, check the DSN's host and port and that it runs: %w", err)
	}
	return err
}
