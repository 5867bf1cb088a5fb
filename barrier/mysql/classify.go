package mysql

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"syscall"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// Error numbers of the server, from MySQL's "Server Error Message Reference"
// and MariaDB's "MariaDB Error Codes".
const (
	errTooManyConnections = 1040 // ER_CON_COUNT_ERROR
	errShutdown           = 1053 // ER_SERVER_SHUTDOWN
	errLockWait           = 1205 // ER_LOCK_WAIT_TIMEOUT
	errDeadlock           = 1213 // ER_LOCK_DEADLOCK
	errOption             = 1290 // ER_OPTION_PREVENTS_STATEMENT: read_only
	errReadOnly           = 1792 // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
	errReadOnlyMode       = 1836 // ER_READ_ONLY_MODE
	errInterrupted        = 1317 // ER_QUERY_INTERRUPTED: KILL QUERY
	errKilled             = 1927 // MariaDB, ER_CONNECTION_KILLED
	errSnapshotChanged    = 1020 // ER_CHECKREAD: MariaDB with innodb_snapshot_isolation
	errUserConnections    = 1203 // ER_TOO_MANY_USER_CONNECTIONS
	errDiskFull           = 1114 // ER_RECORD_FILE_FULL
	errClientTimeout      = 4031 // MySQL, ER_CLIENT_INTERACTION_TIMEOUT
	errTooManyPrepared    = 1461 // ER_MAX_PREPARED_STMT_COUNT_REACHED
	errVetoed             = 3101 // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: Group Replication
)

// Classify implements sqlbranch.Backend.
func (s *Store) Classify(err error) sqlbranch.Class { return classify(err) }

func classify(err error) sqlbranch.Class {
	var me *mysqldriver.MySQLError
	if errors.As(err, &me) {
		switch me.Number {
		case errDeadlock, errSnapshotChanged, errVetoed:
			return sqlbranch.Deadlock
		case errLockWait:
			return sqlbranch.LockWait
		case errInterrupted, errKilled, errClientTimeout:
			return sqlbranch.Lost
		case errTooManyConnections, errUserConnections, errShutdown, errOption, errReadOnly, errReadOnlyMode, errDiskFull, errTooManyPrepared:
			return sqlbranch.Away
		}
		return sqlbranch.Final
	}
	var ne *net.OpError
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysqldriver.ErrInvalidConn),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.As(err, &ne):
		return sqlbranch.Lost
	}
	return sqlbranch.Final
}

// alive reports whether a transaction is as it was before the statement that
// failed with err: the server said no, and not for a reason that ended it.
func alive(err error) bool {
	var me *mysqldriver.MySQLError
	return errors.As(err, &me) && classify(err) == sqlbranch.Final
}
