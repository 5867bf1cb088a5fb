package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

// TestRetriedDeposit loses the connection to MySQL around the COMMIT of a Deposit and of a PutItem, and the
// call and its answer, and sends the same again: money and goods are there once.
func TestRetriedDeposit(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newShop(t, store.open(t))
		through := map[string]grpc.ClientConnInterface{account: dial(t, s.relays[account].addr), stock: dial(t, s.relays[stock].addr)}
		for _, c := range []struct{ service, method, full string }{
			{account, "Deposit", accountpb.AccountService_Deposit_FullMethodName},
			{stock, "PutItem", stockpb.StockService_PutItem_FullMethodName},
		} {
			for _, where := range []string{"COMMIT lost", "answer to COMMIT lost", "call lost", "answer lost"} {
				t.Run(c.method+", "+where, func(t *testing.T) {
					buyer := s.customer(t, confirmed)
					reached := s.loseOne(c.service, c.method, where)
					request, reply := buyer.addition(c.service)
					eventually(t, c.method+" is answered", func(ctx context.Context) error {
						err := through[c.service].Invoke(ctx, c.full, request, reply)
						require.Contains(t, []codes.Code{codes.OK, codes.Unavailable}, status.Code(err), "%v", err)
						return err
					})
					reached(t)
					buyer.again(t)
					s.settled(t)
					buyer.done(t)
				})
			}
		}
	})
}

// loseOne loses the next call of a method, or the COMMIT that it makes, and returns what waits until that has
// happened.
func (s *shop) loseOne(service, method, what string) (reached func(testing.TB)) {
	var p *point
	switch what {
	case "COMMIT lost":
		cut := s.wires[service].CutBefore(commit)
		return func(testing.TB) { cut.Wait() }
	case "answer to COMMIT lost":
		cut := s.wires[service].CutAfter(commit)
		return func(testing.TB) { cut.Wait() }
	case "call lost":
		p = s.relays[service].hold(before, method)
	default:
		p = s.relays[service].hold(after, method)
	}
	p.cut()
	return p.wait
}

// addition is a request that adds to the customer's account or item, and the reply to it.
func (c *customer) addition(service string) (request, reply any) {
	if service == account {
		c.deposited += 17
		return &accountpb.DepositRequest{RequestId: "more-" + c.account, AccountId: c.account, Amount: money(17)}, new(accountpb.DepositResponse)
	}
	c.put += 17
	return &stockpb.PutItemRequest{RequestId: "more-" + c.sku, Sku: c.sku, Add: 17, Price: money(c.price)}, new(stockpb.PutItemResponse)
}
