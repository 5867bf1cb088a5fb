package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// facts are what a store found out about its server and connections.
type facts struct {
	version  string
	mariaDB  bool
	multi    bool // several statements with arguments in one round trip
	lockWait time.Duration
	// volatile is the setting under which the server acknowledges a COMMIT
	// that it may still lose; empty if there is none.
	volatile string
}

// check finds out whether the barrier's rules can hold on db, and says what to
// do where they cannot.
func check(ctx context.Context, db *sql.DB) (facts, error) {
	var f facts
	if err := checkServer(ctx, db, &f); err != nil {
		return f, err
	}
	if err := checkTable(ctx, db); err != nil {
		return f, err
	}
	return f, checkConnection(ctx, db, &f)
}

func checkServer(ctx context.Context, db *sql.DB, f *facts) error {
	var database sql.NullString
	var logBin, format, mode string
	var lockWait, flush, syncBinlog int64
	err := db.QueryRowContext(ctx, "SELECT VERSION(), DATABASE(), @@log_bin, @@binlog_format, @@sql_mode, @@innodb_lock_wait_timeout, @@innodb_flush_log_at_trx_commit, @@sync_binlog").
		Scan(&f.version, &database, &logBin, &format, &mode, &lockWait, &flush, &syncBinlog)
	if err != nil {
		return connectError(err)
	}
	switch {
	case flush != 1:
		f.volatile = fmt.Sprintf("innodb_flush_log_at_trx_commit = %d", flush)
	case logBin == "1" && syncBinlog != 1:
		f.volatile = fmt.Sprintf("sync_binlog = %d", syncBinlog)
	}
	f.lockWait = time.Duration(lockWait) * time.Second
	f.mariaDB = strings.Contains(f.version, "MariaDB")
	if !database.Valid {
		return errors.New("the connection has no database selected: name the participant's database in the DSN")
	}
	if err := checkVersion(f.version, f.mariaDB); err != nil {
		return err
	}
	if logBin == "1" && strings.EqualFold(format, "STATEMENT") {
		return errors.New("the server's binlog_format is STATEMENT, which cannot log the READ COMMITTED transactions of the barrier: set it to ROW")
	}
	if strings.Contains(mode, "NO_BACKSLASH_ESCAPES") || strings.Contains(mode, "ANSI_QUOTES") {
		return fmt.Errorf("the connection's sql_mode is %s: NO_BACKSLASH_ESCAPES and ANSI_QUOTES change how statements read, and are not supported", mode)
	}
	return nil
}

// connectError adds what to do to an error of the first query.
func connectError(err error) error {
	var me *mysqldriver.MySQLError
	switch {
	case errors.As(err, &me):
		return fmt.Errorf("the server refuses: %w", err)
	case classify(err) == sqlbranch.Lost:
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	return err
}

func checkVersion(version string, mariaDB bool) error {
	name, wantMajor, wantMinor := "MySQL", 8, 0
	v := version
	if mariaDB {
		name, wantMajor, wantMinor = "MariaDB", 10, 6
		v = strings.TrimPrefix(v, "5.5.5-") // how MariaDB hides from old replicas
	}
	major, rest, _ := strings.Cut(v, ".")
	minor, _, _ := strings.Cut(rest, ".")
	ma, err1 := strconv.Atoi(major)
	mi, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("the server's version %q cannot be read", version)
	}
	if ma < wantMajor || ma == wantMajor && mi < wantMinor {
		return fmt.Errorf("the server is %s %s; %d.%d or later is needed", name, version, wantMajor, wantMinor)
	}
	return nil
}

func checkTable(ctx context.Context, db *sql.DB) error {
	var engine string
	err := db.QueryRowContext(ctx, "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'sub_transaction_barrier'").Scan(&engine)
	if errors.Is(err, sql.ErrNoRows) {
		return errors.New("the database has no table sub_transaction_barrier: create it with mysql.Schema in the participant's migrations")
	}
	if err != nil {
		return fmt.Errorf("look for the table sub_transaction_barrier: %w", err)
	}
	if !strings.EqualFold(engine, "InnoDB") {
		return fmt.Errorf("the table sub_transaction_barrier has the engine %s, which has no transactions: it must be InnoDB", engine)
	}
	return checkColumns(ctx, db)
}

func checkColumns(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT column_name, COALESCE(collation_name, 'binary') FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sub_transaction_barrier'")
	if err != nil {
		return fmt.Errorf("look at the columns of sub_transaction_barrier: %w", err)
	}
	defer func() { _ = rows.Close() }()
	collations := map[string]string{}
	for rows.Next() {
		var name, collation string
		if err := rows.Scan(&name, &collation); err != nil {
			return err
		}
		collations[strings.ToLower(name)] = collation
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, c := range [...]string{"gid", "branch_id", "state", "updated_at", "method", "request", "response", "reason"} {
		if _, ok := collations[c]; !ok {
			return fmt.Errorf("the table sub_transaction_barrier has no column %s: it is not the one that mysql.Schema creates", c)
		}
	}
	for _, c := range [...]string{"gid", "branch_id"} {
		if got := collations[c]; got != "binary" && !strings.HasSuffix(got, "_bin") {
			return fmt.Errorf("the column %s of sub_transaction_barrier has the collation %s, which merges different ids: it must be a binary one", c, got)
		}
	}
	return nil
}

// checkConnection tries in a transaction, which it rolls back, how affected
// rows are counted, and whether several statements fit one round trip.
func checkConnection(ctx context.Context, db *sql.DB, f *facts) error {
	l, err := sqlbranch.Acquire(ctx, db)
	if err != nil {
		return connectError(err)
	}
	clean := false
	defer func() { l.GiveBack(clean) }()
	const insert = "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES (?, ?, 4, UTC_TIMESTAMP(3))"
	probe := "start-up check " + rand.Text()
	if _, err := l.Exec(ctx, "START TRANSACTION"); err != nil {
		return err
	}
	if _, err := l.Exec(ctx, insert, probe, ""); err != nil {
		return fmt.Errorf("write to sub_transaction_barrier: %w", err)
	}
	res, err := l.Exec(ctx, "UPDATE sub_transaction_barrier SET state = 4 WHERE gid = ? AND branch_id = ?", probe, "")
	if err != nil {
		return fmt.Errorf("write to sub_transaction_barrier: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n != 0 {
		return errFoundRows
	}
	res, err = l.Exec(ctx, "DO ?; DO ?", 1, 1)
	if err == nil {
		all, ok := res.(mysqldriver.Result)
		f.multi = ok && len(all.AllRowsAffected()) == 2
	}
	if _, err := l.Exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	clean = true
	return nil
}
