package demo

import (
	"fmt"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/stack"
)

// further tells how to look further while everything runs.
func (d *demo) further() {
	alice, teapot := d.shop.name("alice"), d.shop.name("teapot")
	order := d.stack.Service(stack.Order)
	d.print.title("Look further")
	d.print.line("DTM's console   %s", d.stack.DTM().HTTPURL)
	d.print.line("metrics         curl -s http://%s/metrics | grep 'tcckit.*count'", order.Admin)
	d.print.line("logs            %s", d.dir)
	d.print.line("with grpcurl (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest):")
	for _, line := range []string{
		Grpcurl(d.stack.Service(stack.Account).Public, accountpb.AccountService_ServiceDesc.ServiceName, "GetAccount", fmt.Sprintf(`{"account_id": %q}`, alice)),
		Grpcurl(order.Public, orderpb.OrderService_ServiceDesc.ServiceName, "PlaceOrder", fmt.Sprintf(`{"request_id": "by-hand-1", "account_id": %q, "lines": [{"sku": %q, "quantity": 1}]}`, alice, teapot)),
		Grpcurl(order.Public, orderpb.OrderService_ServiceDesc.ServiceName, "ListOrders", fmt.Sprintf(`{"account_id": %q}`, alice)),
		Grpcurl(order.Public, dispatchpb.DispatchService_ServiceDesc.ServiceName, "ListShipments", fmt.Sprintf(`{"account_id": %q}`, alice)),
	} {
		d.print.line("  %s", line)
	}
}

// Grpcurl is a command line that calls a method.
func Grpcurl(addr, service, method, request string) string {
	return fmt.Sprintf("grpcurl -plaintext -d '%s' %s %s/%s", request, addr, service, method)
}
