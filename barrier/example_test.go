package barrier_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/tcc"
)

// wallet is a participant. With generated code its methods have the types of
// the service's messages.
type wallet struct{ store barrier.Store }

// TryPay freezes 30 of what is available.
func (w *wallet) TryPay(ctx context.Context, req *emptypb.Empty) (*emptypb.Empty, error) {
	return barrier.Try(ctx, w.store, req, func(_ context.Context, tx barrier.Tx) (*emptypb.Empty, error) {
		tx.Queue(barrier.Stmt{
			Query: "UPDATE wallet SET available = available - 30, frozen = frozen + 30 WHERE available >= 30",
			Rows:  1,
			Otherwise: func(ctx context.Context, tx barrier.Tx) error {
				var left string
				if err := tx.QueryRowContext(ctx, "SELECT available FROM wallet").Scan(&left); err != nil {
					return err
				}
				return tcc.Reject("INSUFFICIENT_BALANCE", "not enough in the wallet", map[string]string{"available": left})
			},
		})
		return &emptypb.Empty{}, nil
	})
}

// CancelPay gives them back.
func (w *wallet) CancelPay(ctx context.Context) error {
	return barrier.Cancel(ctx, w.store, func(_ context.Context, tx barrier.Tx) error {
		tx.Queue(barrier.Stmt{Query: "UPDATE wallet SET available = available + 30, frozen = frozen - 30 WHERE frozen >= 30", Rows: 1})
		return nil
	})
}

func Example() {
	if err := runExample(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// try: <nil>; available 20, frozen 30
	// the same try: <nil>; available 20, frozen 30
	// another try: rejected: INSUFFICIENT_BALANCE: not enough in the wallet; available 20, frozen 30
	// cancel: <nil>; available 50, frozen 0
	// the same cancel: <nil>; available 50, frozen 0
	// a cancel without a try: <nil>; available 50, frozen 0
	// its try, too late: late try: branch 01 of g3 is cancelled already; available 50, frozen 0
}

func runExample(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "wallet")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sqlite.OpenDB(filepath.Join(dir, "wallet.db"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, s := range []string{sqlite.Schema, "CREATE TABLE wallet (available INTEGER, frozen INTEGER)", "INSERT INTO wallet VALUES (50, 0)"} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	store, err := sqlite.New(ctx, db, sqlite.Options{})
	if err != nil {
		return err
	}
	w := &wallet{store: store}

	// tcc's server interceptor makes this context of the call's metadata.
	delivery := func(gid string, p tcc.Phase) context.Context {
		return tcc.NewContext(ctx, tcc.Branch{GID: gid, ID: "01", Phase: p, Method: "/wallet.Wallet/TryPay"})
	}
	show := func(what string, err error) {
		var available, frozen int
		if err := db.QueryRowContext(ctx, "SELECT available, frozen FROM wallet").Scan(&available, &frozen); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%s: %v; available %d, frozen %d\n", what, err, available, frozen)
	}
	_, err = w.TryPay(delivery("g1", tcc.Try), &emptypb.Empty{})
	show("try", err)
	_, err = w.TryPay(delivery("g1", tcc.Try), &emptypb.Empty{})
	show("the same try", err)
	_, err = w.TryPay(delivery("g2", tcc.Try), &emptypb.Empty{})
	show("another try", err)
	show("cancel", w.CancelPay(delivery("g1", tcc.Cancel)))
	show("the same cancel", w.CancelPay(delivery("g1", tcc.Cancel)))
	show("a cancel without a try", w.CancelPay(delivery("g3", tcc.Cancel)))
	_, err = w.TryPay(delivery("g3", tcc.Try), &emptypb.Empty{})
	show("its try, too late", err)
	return nil
}
