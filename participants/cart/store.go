package cart

import (
	"context"
	"database/sql"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/internal/database"
)

const selectLines = "SELECT line_id, sku, quantity, created_at FROM cart_line WHERE account_id = ?"

func find(ctx context.Context, tx *sql.Tx, account, line string) (*pb.CartLine, error) {
	return scan(tx.QueryRowContext(ctx, selectLines+" AND line_id = ?", account, line))
}

// list reads an account's lines, oldest first. Ids of one millisecond are in
// the order in which they were made.
func list(ctx context.Context, db *sql.DB, account string) ([]*pb.CartLine, error) {
	rows, err := db.QueryContext(ctx, selectLines+" ORDER BY created_at, line_id", account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lines []*pb.CartLine
	for rows.Next() {
		line, err := scan(rows)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, rows.Err()
}

func scan(row interface{ Scan(dest ...any) error }) (*pb.CartLine, error) {
	var (
		line    pb.CartLine
		created int64
	)
	if err := row.Scan(&line.LineId, &line.Sku, &line.Quantity, &created); err != nil {
		return nil, err
	}
	line.CreateTime = timestamppb.New(time.UnixMilli(created))
	return &line, nil
}

// count counts an account's lines.
func count(ctx context.Context, tx *sql.Tx, account string) (n int, err error) {
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM cart_line WHERE account_id = ?", account).Scan(&n)
	return n, err
}

func insert(ctx context.Context, tx *sql.Tx, d database.Dialect, account, line, sku string, quantity int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO cart_line (account_id, line_id, sku, quantity, created_at) VALUES (?, ?, ?, ?, "+d.Now()+")",
		account, line, sku, quantity)
	return err
}
