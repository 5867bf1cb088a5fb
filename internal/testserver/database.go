package testserver

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/internal/localserver"
)

// MySQL returns the configuration of a client of the shared MySQL, with a new, empty database that is
// dropped when the test ends. The caller may change what it got.
func MySQL(t testing.TB) *mysql.Config {
	t.Helper()
	return shared(t, localserver.MySQL)
}

// MariaDB is MySQL for the shared MariaDB.
func MariaDB(t testing.TB) *mysql.Config {
	t.Helper()
	return shared(t, localserver.MariaDB)
}

func shared(t testing.TB, kind localserver.Kind) *mysql.Config {
	t.Helper()
	cfg, err := mysql.ParseDSN(address(t, kind))
	if err != nil {
		t.Fatalf("%s is not a DSN of go-sql-driver/mysql: %v", Env(kind), err)
	}
	return createDatabase(t, cfg)
}

// createDatabase returns a copy of cfg with a new database.
func createDatabase(t testing.TB, cfg *mysql.Config) *mysql.Config {
	t.Helper()
	own := cfg.Clone()
	own.DBName = databaseName(t)
	exec(t, cfg, "CREATE DATABASE `"+own.DBName+"` CHARACTER SET utf8mb4")
	t.Cleanup(func() {
		if err := dropDatabase(cfg, own.DBName, 10*time.Second); err != nil {
			t.Error(err)
		}
	})
	return own
}

// databaseName is the test's name, to be recognised in a process list, and a random part. MySQL allows
// 64 characters.
func databaseName(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '_'
		}
	}, t.Name())
	return fmt.Sprintf("%.45s_%.10s", name, strings.ToLower(rand.Text()))
}

// dropDatabase fails when connections still hold locks in the database and keep them longer than bound,
// in whole seconds.
func dropDatabase(cfg *mysql.Config, name string, bound time.Duration) error {
	err := withConn(cfg, func(ctx context.Context, conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET lock_wait_timeout = %d", int(bound.Seconds()))); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, "DROP DATABASE IF EXISTS `"+name+"`"); err != nil {
			return fmt.Errorf("%w; connections to it: %s", err, connections(ctx, conn, name))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("dropping the test's database at %s: %w", cfg.Addr, err)
	}
	return nil
}

// exec runs one statement on a connection of its own.
func exec(t testing.TB, cfg *mysql.Config, query string, args ...any) {
	t.Helper()
	err := withConn(cfg, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s at %s: %v", query, cfg.Addr, err)
	}
}

// withConn runs f with a connection of its own, bounded in time. It does not follow a test's context:
// that one has ended when the clean-up runs.
func withConn(cfg *mysql.Config, f func(context.Context, *sql.Conn) error) (err error) {
	ctx, cancel := bounded()
	defer cancel()
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() {
		if closeErr := db.Close(); err == nil {
			err = closeErr
		}
	}()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(ctx, conn)
}
