package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/stack"
	"github.com/tcckit/tcckit/tcc"
)

// The account service dies between Try and Confirm. The moment is not hoped for: the gate between DTM and
// the service holds the Confirm back until the process is dead.
func (d *demo) kill(ctx context.Context) error {
	const price, pieces = 4900, 2
	account, sku := d.shop.name("erin"), d.shop.name("lamp")
	if err := d.shop.open(ctx, account, 50_000); err != nil {
		return err
	}
	if err := d.shop.supply(ctx, sku, price, 5); err != nil {
		return err
	}
	before, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	d.print.line("%s orders %d of %s. What DTM sends to the account service is held back from now on.", account, pieces, sku)
	d.gate.Hold()
	defer d.gate.Open()
	request := "order-" + account
	type answer struct {
		order *orderpb.Order
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		order, err := d.shop.place(ctx, request, account, sku, pieces)
		answers <- answer{order, err}
	}()
	between, err := d.awaitDecision(ctx, account, sku, before.numbers()[0]-price*pieces)
	if err != nil {
		return errors.Join(err, (<-answers).err)
	}
	service := d.stack.Service(stack.Account)
	d.print.held("its Try has taken effect, DTM has durably decided to commit, and its Confirm waits at the gate")
	pid := service.PID()
	if err := service.Kill(); err != nil {
		return err
	}
	d.gate.Cut()
	_, err = d.shop.accounts.GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: account}, grpc.WaitForReady(false))
	if status.Code(err) != codes.Unavailable {
		return fmt.Errorf("the account service was killed and yet it answers: %w", err)
	}
	d.print.held("kill -9 %d: the account service is gone", pid)
	placed := <-answers
	if placed.err != nil {
		return placed.err
	}
	if s := placed.order.GetStatus(); s != orderpb.OrderStatus_ORDER_STATUS_PENDING {
		return fmt.Errorf("the order is %s although its Confirm cannot have arrived", s)
	}
	d.print.held("the client was told: order %s is PENDING", placed.order.GetOrderId())

	begin := time.Now()
	if err := service.Start(ctx); err != nil {
		return err
	}
	restarted, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	if restarted.account.GetFrozen() != price*pieces {
		return fmt.Errorf("after the restart %s frozen, it must be %s", euros(restarted.account.GetFrozen()), euros(price*pieces))
	}
	d.print.line("The account service is started again and the gate is opened. DTM tries again by itself.")
	d.gate.Open()
	if _, err := d.shop.confirmed(ctx, placed.order.GetOrderId()); err != nil {
		return err
	}
	took := time.Since(begin)
	again, err := d.shop.place(ctx, request, account, sku, pieces)
	if err != nil {
		return err
	}
	after, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	d.print.compare([]string{"before", "killed", "restarted", "after"}, before, between, restarted, after)
	if again.GetOrderId() != placed.order.GetOrderId() {
		return fmt.Errorf("the same request made another order: %s", again.GetOrderId())
	}
	if err := after.must(before.bought(price*pieces, pieces)); err != nil {
		return err
	}
	d.print.held("the order is CONFIRMED %s after the restart; asked again, the client gets the same order", took.Round(100*time.Millisecond))
	return nil
}

// awaitDecision waits until the account's Try has taken effect, DTM has decided to commit, and DTM's
// Confirm for the account is waiting at the gate.
func (d *demo) awaitDecision(ctx context.Context, account, sku string, left int64) (figures, error) {
	var f figures
	err := until(ctx, "the order is decided and its Confirm waits", func(ctx context.Context) (bool, error) {
		var err error
		if f, err = d.shop.figures(ctx, account, sku); err != nil {
			return false, err
		}
		if f.account.GetAvailable() != left || f.account.GetFrozen() == 0 || d.gate.Held() == 0 {
			return false, nil
		}
		orders, err := d.shop.list(ctx, account)
		if err != nil || len(orders) == 0 {
			return false, err
		}
		info, err := d.coordinator.Query(ctx, orders[0].GetOrderId())
		if err != nil {
			return false, err
		}
		return info.Status == coordinator.Submitted && !debited(info), nil
	})
	return f, err
}

// debited tells whether DTM knows of the debit's Confirm that it was carried out.
func debited(info *coordinator.Info) bool {
	for _, call := range info.Calls {
		if call.Phase == tcc.Confirm && call.Method == accountpb.AccountService_ConfirmDebit_FullMethodName {
			return call.Done
		}
	}
	return false
}
