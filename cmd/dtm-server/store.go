package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr/config"
	"github.com/dtm-labs/dtm/dtmsvr/storage/registry"
	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/cmd/dtm-server/migrate"
)

const (
	storeAttemptTimeout = 3 * time.Second
	storeRetryPause     = time.Second
)

// waitForStore waits until the store answers, at most settings.storeWait: DTM itself would wait for ever,
// in silence. It creates the MySQL tables that are missing, unless told not to.
func waitForStore(ctx context.Context, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, s.storeWait)
	defer cancel()
	for {
		err := attemptStore(ctx, s)
		if err == nil || isPermanent(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the store did not answer within %s (STORE_WAIT); check STORE_HOST and STORE_PORT: %w", s.storeWait, err)
		case <-time.After(storeRetryPause):
			fmt.Fprintln(os.Stderr, "dtm-server: waiting for the store:", err)
		}
	}
}

// attemptStore does not wait for an attempt longer than ctx: DTM's stores know no context.
func attemptStore(ctx context.Context, s settings) error {
	result := make(chan error, 1)
	go func() { result <- prepareStore(ctx, s) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errors.New("no answer")
	}
}

// A permanentError is not worth waiting for.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func isPermanent(err error) bool { return errors.As(err, new(permanentError)) }

func prepareStore(ctx context.Context, s settings) error {
	switch s.dtm.Store.Driver {
	case config.BoltDb:
		return openBolt()
	case config.Mysql:
		return prepareMySQL(ctx, s, s.migrateAtStart)
	default:
		return registry.GetStore().Ping()
	}
}

// openBolt has DTM open its file now, where the failure can be told plainly.
func openBolt() (err error) {
	defer func() {
		if p := recover(); p != nil {
			dir, _ := os.Getwd()
			err = permanentError{fmt.Errorf("cannot open dtm.bolt in %s (DATA_DIR): %v; a timeout means that another dtm-server has it open", dir, p)}
		}
	}()
	return registry.GetStore().Ping()
}

func prepareMySQL(ctx context.Context, s settings, create bool) error {
	cfg := mysqlConfig(s.dtm.Store)
	var err error
	if create {
		err = migrate.Up(ctx, cfg)
	} else {
		err = migrate.Check(ctx, cfg)
	}
	var refused *mysql.MySQLError
	if errors.As(err, &refused) && refused.Number != tooManyConnections || errors.Is(err, migrate.ErrMissingTable) {
		return permanentError{err}
	}
	return err
}

const tooManyConnections = 1040

// migrateStore is the migrate command.
func migrateStore(ctx context.Context, s settings, stdout io.Writer) error {
	if s.dtm.Store.Driver != config.Mysql {
		return fmt.Errorf("nothing to migrate: the %s store has no schema of its own here (migrate is for STORE_DRIVER=mysql)", s.dtm.Store.Driver)
	}
	ctx, cancel := context.WithTimeout(ctx, max(s.storeWait, storeAttemptTimeout))
	defer cancel()
	if err := prepareMySQL(ctx, s, true); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "the tables of database %s are there\n", s.dtm.Store.Db)
	return err
}

func mysqlConfig(store config.Store) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = store.User, store.Password, store.Db
	cfg.Net, cfg.Addr = "tcp", hostPort(strings.Trim(store.Host, "[]"), store.Port)
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = storeAttemptTimeout, migrateStatementTimeout, migrateStatementTimeout
	return cfg
}

// migrateStatementTimeout bounds a statement: CREATE TABLE waits for a metadata lock.
const migrateStatementTimeout = 30 * time.Second
