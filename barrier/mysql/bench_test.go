package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

const debit = "UPDATE account SET available = available - ?, frozen = frozen + ? WHERE id = ? AND available >= ?"

// BenchmarkTry compares a Try in its two forms with the same statement in a
// transaction of database/sql that has no barrier, over 1,000 rows.
func BenchmarkTry(b *testing.B) {
	cfg := testserver.MySQL(b)
	own := cfg.Clone()
	own.MultiStatements = true
	admin, err := sql.Open("mysql", own.FormatDSN())
	require.NoError(b, err)
	defer func() { _ = admin.Close() }()
	_, err = admin.ExecContext(b.Context(), mysql.Schema+"; CREATE TABLE account (id VARCHAR(64) PRIMARY KEY, available BIGINT NOT NULL, frozen BIGINT NOT NULL DEFAULT 0)")
	require.NoError(b, err)
	for i := range 1000 {
		_, err := admin.ExecContext(b.Context(), "INSERT INTO account (id, available) VALUES (?, 1000000000)", fmt.Sprint("a", i))
		require.NoError(b, err)
	}
	s, err := mysql.Open(b.Context(), cfg, mysql.Options{})
	require.NoError(b, err)
	defer func() { _ = s.Close() }()
	plain, err := sql.Open("mysql", cfg.FormatDSN())
	require.NoError(b, err)
	defer func() { _ = plain.Close() }()
	plain.SetMaxIdleConns(32)

	branch := func(work func(id string) barrier.Work) func(ctx context.Context, id string) error {
		return func(ctx context.Context, id string) error {
			gid, err := uuid.NewV7()
			if err != nil {
				return err
			}
			_, err = s.Do(ctx, barrier.Call{
				Branch:  tcc.Branch{GID: gid.String(), ID: "01", Phase: tcc.Try, Method: "/shop.Account/TryDebit"},
				Request: []byte("a request of about as many bytes as usual"),
			}, work(id))
			return err
		}
	}
	forms := []struct {
		name string
		run  func(ctx context.Context, id string) error
	}{
		{"bare", func(ctx context.Context, id string) error {
			tx, err := plain.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, debit, 1, 1, id, 1); err != nil {
				_ = tx.Rollback()
				return err
			}
			return tx.Commit()
		}},
		{"queued", branch(func(id string) barrier.Work {
			return func(_ context.Context, tx barrier.Tx) ([]byte, error) {
				tx.Queue(barrier.Stmt{Query: debit, Args: []any{1, 1, id, 1}, Key: id, Rows: 1})
				return nil, nil
			}
		})},
		{"exec", branch(func(id string) barrier.Work {
			return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				_, err := tx.ExecContext(ctx, debit, 1, 1, id, 1)
				return nil, err
			}
		})},
	}
	for _, callers := range []int{1, 32} {
		for _, f := range forms {
			b.Run(fmt.Sprintf("%s-%d", f.name, callers), func(b *testing.B) {
				b.ReportAllocs()
				var n atomic.Int64
				b.SetParallelism(max(1, callers/2))
				if callers == 1 {
					for b.Loop() {
						require.NoError(b, f.run(b.Context(), fmt.Sprint("a", n.Add(7)%1000)))
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := f.run(b.Context(), fmt.Sprint("a", n.Add(7)%1000)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
