package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"github.com/tcckit/tcckit/internal/mysqldsn"
)

// describeMySQL prints what the figures depend on, above all whether a commit is on disk when it is answered.
func describeMySQL(ctx context.Context, dsn string, out io.Writer) (err error) {
	cfg, err := mysqldsn.Parse(dsn)
	if err != nil {
		return fmt.Errorf("bench: MySQL: %w", err)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return fmt.Errorf("bench: MySQL: %w", err)
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	var version string
	var syncBinlog, flush, logBin int
	row := db.QueryRowContext(ctx, "SELECT VERSION(), @@sync_binlog, @@innodb_flush_log_at_trx_commit, @@log_bin")
	if err := row.Scan(&version, &syncBinlog, &flush, &logBin); err != nil {
		return fmt.Errorf("bench: MySQL: %w", err)
	}
	fmt.Fprintf(out, "MySQL %s: log_bin %d, sync_binlog %d, innodb_flush_log_at_trx_commit %d\n", version, logBin, syncBinlog, flush)
	if syncBinlog != 1 || flush != 1 {
		fmt.Fprintln(out, "This server is not durable: it answers a COMMIT before it is on disk, so the figures say little.")
	}
	return nil
}

// deleteKeys deletes what DTM has left in Redis.
func deleteKeys(ctx context.Context, addr, prefix string) (err error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { err = errors.Join(err, client.Close()) }()
	const batch = 1000
	var keys []string
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		err := client.Unlink(ctx, keys...).Err()
		keys = keys[:0]
		return err
	}
	all := client.Scan(ctx, 0, prefix+"*", batch).Iterator()
	for all.Next(ctx) {
		if keys = append(keys, all.Val()); len(keys) == batch {
			if err := flush(); err != nil {
				return fmt.Errorf("bench: Redis: %w", err)
			}
		}
	}
	if err := errors.Join(all.Err(), flush()); err != nil {
		return fmt.Errorf("bench: Redis: %w", err)
	}
	return nil
}
