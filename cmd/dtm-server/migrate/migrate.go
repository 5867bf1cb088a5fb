// Package migrate creates the tables of DTM's MySQL store.
//
// DTM's own script begins with DROP TABLE and names the database dtm; this one only creates what is
// missing, in the database that the configuration names, and may run at any time, also over live data and
// from several processes at once. Tables made by DTM's script are left as they are and work.
package migrate

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
)

//go:embed *.sql
var scripts embed.FS

// ErrMissingTable is what Check returns, wrapped, when there is something for Up to do.
var ErrMissingTable = errors.New("table missing")

// unknownDatabase is MySQL's error number for it.
const unknownDatabase = 1049

// tables are DTM's, each created by the script of its name.
func tables() []string { return []string{"trans_global", "trans_branch_op", "kv"} }

// Up creates the database cfg.DBName if it does not exist, and those of the tables that do not. When all
// are there it writes nothing, and so needs no right to create.
func Up(ctx context.Context, cfg *mysql.Config) error {
	missing, err := missingTables(ctx, cfg)
	if isUnknownDatabase(err) {
		if err := createDatabase(ctx, cfg); err != nil {
			return err
		}
		missing, err = tables(), nil
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	return withDB(cfg, func(db *sql.DB) error {
		for _, table := range missing {
			script, err := scripts.ReadFile(table + ".sql")
			if err != nil {
				return err
			}
			if _, err := db.ExecContext(ctx, string(script)); err != nil {
				return fmt.Errorf("create table %s.%s: %w", cfg.DBName, table, err)
			}
		}
		return nil
	})
}

// Check returns nil when all tables are there, and otherwise an error that says what to do.
func Check(ctx context.Context, cfg *mysql.Config) error {
	missing, err := missingTables(ctx, cfg)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%w in database %s: %s; run dtm-server migrate with an account that may create tables",
			ErrMissingTable, cfg.DBName, strings.Join(missing, ", "))
	}
	return err
}

func missingTables(ctx context.Context, cfg *mysql.Config) ([]string, error) {
	var missing []string
	err := withDB(cfg, func(db *sql.DB) error {
		for _, table := range tables() {
			var n int
			err := db.QueryRowContext(ctx,
				"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
				table).Scan(&n)
			if err != nil {
				return fmt.Errorf("database %s at %s: %w", cfg.DBName, cfg.Addr, err)
			}
			if n == 0 {
				missing = append(missing, table)
			}
		}
		return nil
	})
	return missing, err
}

func createDatabase(ctx context.Context, cfg *mysql.Config) error {
	server := cfg.Clone()
	server.DBName = ""
	return withDB(server, func(db *sql.DB) error {
		name := "`" + strings.ReplaceAll(cfg.DBName, "`", "``") + "`"
		if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
			return fmt.Errorf("create database %s: %w", cfg.DBName, err)
		}
		return nil
	})
}

func withDB(cfg *mysql.Config, work func(*sql.DB) error) error {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	return errors.Join(work(db), db.Close())
}

func isUnknownDatabase(err error) bool {
	var refused *mysql.MySQLError
	return errors.As(err, &refused) && refused.Number == unknownDatabase
}
