package demo

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	bankpb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
)

// Money goes from one bank to another; what cannot be credited there comes back.
func (d *demo) transfer(ctx context.Context) error {
	ann, ben, cleo := d.shop.name("ann"), d.shop.name("ben"), d.shop.name("cleo")
	for _, a := range []struct {
		bank   bankpb.BankServiceClient
		id     string
		amount int64
	}{{d.shop.north, ann, 10_000}, {d.shop.south, ben, 2000}, {d.shop.south, cleo, 0}} {
		if err := d.shop.openAt(ctx, a.bank, a.id, a.amount); err != nil {
			return err
		}
	}
	if _, err := d.shop.south.CloseAccount(ctx, &bankpb.CloseAccountRequest{RequestId: "close-" + cleo, AccountId: cleo}); err != nil {
		return fmt.Errorf("close the account %s: %w", cleo, err)
	}
	d.print.line("Of bank north's %s 30.00 %s go to %s, and 25.00 to %s, of bank south. The account of %s is closed.", ann, currency, ben, cleo, cleo)
	balances := [][]int64{}
	note := func() error {
		north, err := balance(ctx, d.shop.north, ann)
		if err != nil {
			return err
		}
		south, err := balance(ctx, d.shop.south, ben)
		balances = append(balances, []int64{north, south, north + south})
		return err
	}
	if err := note(); err != nil {
		return err
	}
	begin := time.Now()
	credited, err := d.transferred(ctx, ann, ben, 3000)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	if err := note(); err != nil {
		return err
	}
	refunded, err := d.transferred(ctx, ann, cleo, 2500)
	if err != nil {
		return err
	}
	if err := note(); err != nil {
		return err
	}
	rows := [][]string{{"", "", "before", "after the first", "after both"}, {"north", ann}, {"south", ben}, {"sum", ""}}
	for _, column := range balances {
		for i, n := range column {
			rows[i+1] = append(rows[i+1], euros(n))
		}
	}
	d.print.table(rows)
	for i, want := range [][]int64{{10_000, 2000, 12_000}, {7000, 5000, 12_000}, {7000, 5000, 12_000}} {
		if fmt.Sprint(balances[i]) != fmt.Sprint(want) {
			return fmt.Errorf("the balances are %v, they must be %v", balances[i], want)
		}
	}
	if credited.GetStatus() != bankpb.TransferStatus_TRANSFER_STATUS_CREDITED {
		return fmt.Errorf("transfer %s is %s (%s), it must be CREDITED", credited.GetTransferId(), credited.GetStatus(), credited.GetReason())
	}
	d.print.held("transfer %s is CREDITED after %s", credited.GetTransferId(), took.Round(time.Millisecond))
	if refunded.GetStatus() != bankpb.TransferStatus_TRANSFER_STATUS_REFUNDED || refunded.GetReason() != "ACCOUNT_CLOSED" {
		return fmt.Errorf("transfer %s is %s (%s), it must be REFUNDED (ACCOUNT_CLOSED)", refunded.GetTransferId(), refunded.GetStatus(), refunded.GetReason())
	}
	d.print.held("transfer %s is REFUNDED: %s; the sum over both banks is what it was", refunded.GetTransferId(), refunded.GetReason())
	return nil
}

// openAt opens an account of a bank, with something in it.
func (f *followers) openAt(ctx context.Context, bank bankpb.BankServiceClient, id string, amount int64) error {
	_, err := bank.OpenAccount(ctx, &bankpb.OpenAccountRequest{RequestId: "open-" + id, AccountId: id, Balance: &commonpb.Money{Amount: amount, Currency: currency}})
	if err != nil {
		return fmt.Errorf("open account %s: %w", id, err)
	}
	return nil
}

// transferred sends money from bank north to bank south, and waits until it is known what became of it.
func (d *demo) transferred(ctx context.Context, from, to string, amount int64) (*bankpb.Transfer, error) {
	var t *bankpb.Transfer
	err := until(ctx, "the transfer to "+to+" is taken", func(ctx context.Context) (bool, error) {
		resp, err := d.shop.north.Transfer(ctx, &bankpb.TransferRequest{
			RequestId: "transfer-" + to, FromAccountId: from, ToBank: "south", ToAccountId: to, Amount: &commonpb.Money{Amount: amount, Currency: currency},
		})
		if status.Code(err) == codes.Unavailable { // the same again is not another transfer
			return false, nil
		}
		t = resp.GetTransfer()
		return true, err
	})
	if err != nil {
		return nil, err
	}
	err = until(ctx, "transfer "+t.GetTransferId()+" is answered", func(ctx context.Context) (bool, error) {
		resp, err := d.shop.north.GetTransfer(ctx, &bankpb.GetTransferRequest{TransferId: t.GetTransferId()})
		t = resp.GetTransfer()
		return t.GetStatus() != bankpb.TransferStatus_TRANSFER_STATUS_SENT, err
	})
	return t, err
}

func balance(ctx context.Context, bank bankpb.BankServiceClient, account string) (int64, error) {
	resp, err := bank.GetAccount(ctx, &bankpb.GetAccountRequest{AccountId: account})
	if err != nil {
		return 0, fmt.Errorf("read account %s: %w", account, err)
	}
	return resp.GetAccount().GetBalance().GetAmount(), nil
}
