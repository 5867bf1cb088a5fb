package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/tcc"
)

// badInput is a call that must be refused.
type badInput struct {
	name   string
	at     *grpc.ClientConn
	method string
	// request is a message, or []byte to be sent as it is.
	request any
	as      caller
	code    codes.Code
	// reason is the ErrorInfo's, "" if there need not be one.
	reason string
}

// caller adds to a call what tells who calls.
type caller func(context.Context) context.Context

func anybody(ctx context.Context) context.Context { return ctx }

// TestBadInput sends what must be refused to a running shop: each is refused with a status of its own, and
// nothing is written, in no table and not at DTM.
func TestBadInput(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newDirectShop(t, store.open(t))
		buyer := s.customer(t, confirmed)
		buyer.again(t)
		s.put(t, "free", 10, 0)
		for i := range 10 {
			s.put(t, fmt.Sprintf("precious-%d", i), 1_000_000, 1_000_000_000_000)
		}
		s.open(t, "full", 1<<62)
		s.put(t, "plenty", 1_000_000_000_000, 1)
		s.settled(t)

		public, internal := make(map[string]*grpc.ClientConn), make(map[string]*grpc.ClientConn)
		for _, name := range services() {
			public[name], internal[name] = dial(t, s.services[name].public), dial(t, s.services[name].internal)
		}
		var cases []badInput
		cases = append(cases, badOrders(buyer, public[order])...)
		cases = append(cases, badReads(public)...)
		cases = append(cases, notForThePublic(s, buyer, public)...)
		cases = append(cases, badAdministration(s, buyer, internal)...)
		cases = append(cases, badBranches(s, buyer, internal)...)
		before := s.written(t)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				c.run(t)
				require.Equal(t, before, s.written(t))
			})
		}
		buyer.again(t) // and the shop is open as ever
	})
}

func (c badInput) run(t *testing.T) {
	var opts []grpc.CallOption
	var reply any = new(commonpb.Money) // nobody reads it
	if _, raw := c.request.([]byte); raw {
		opts, reply = append(opts, grpc.ForceCodecV2(rawCodec{})), new([]byte)
	}
	ctx, cancel := context.WithTimeout(c.as(bounded(t)), 10*time.Second)
	defer cancel()
	err := c.at.Invoke(ctx, c.method, c.request, reply, append(opts, ready())...)
	require.Equal(t, c.code.String(), status.Code(err).String(), "%v", err)
	require.NotEmpty(t, status.Convert(err).Message())
	if c.reason != "" {
		require.Equal(t, c.reason, reason(err))
	}
}

// written stands for all that the shop has stored: the contents of all tables, and DTM's transactions.
func (s *shop) written(t testing.TB) map[string]any {
	t.Helper()
	written := map[string]any{"DTM's transactions": s.transactions(t)}
	for name, db := range s.dbs {
		written[name] = db.contents(t)
	}
	return written
}

func badOrders(buyer *customer, at *grpc.ClientConn) []badInput {
	const method = orderpb.OrderService_PlaceOrder_FullMethodName
	place := func(change func(*orderpb.PlaceOrderRequest)) *orderpb.PlaceOrderRequest {
		r := buyer.request()
		r.RequestId = "new"
		change(r)
		return r
	}
	lines := func(lines ...*orderpb.LineItem) *orderpb.PlaceOrderRequest {
		return place(func(r *orderpb.PlaceOrderRequest) { r.Lines = lines })
	}
	line := func(sku string, quantity int64) *orderpb.LineItem {
		return &orderpb.LineItem{Sku: sku, Quantity: quantity}
	}
	var many, expensive []*orderpb.LineItem
	for i := range 101 {
		many = append(many, line(fmt.Sprintf("sku-%d", i), 1))
	}
	for i := range 10 { // at 10^12 each
		expensive = append(expensive, line(fmt.Sprintf("precious-%d", i), 1_000_000))
	}
	bad := func(name string, request any, code codes.Code, reason string) badInput {
		return badInput{"PlaceOrder: " + name, at, method, request, anybody, code, reason}
	}
	long := strings.Repeat("x", 65)
	return []badInput{
		bad("no lines", lines(), codes.InvalidArgument, ""),
		bad("more than 100 lines", lines(many...), codes.InvalidArgument, ""),
		bad("quantity 0", lines(line(buyer.sku, 0)), codes.InvalidArgument, ""),
		bad("negative quantity", lines(line(buyer.sku, -1)), codes.InvalidArgument, ""),
		bad("quantity over the limit", lines(line(buyer.sku, 1_000_001)), codes.InvalidArgument, ""),
		bad("the largest quantity", lines(line(buyer.sku, 1<<63-1)), codes.InvalidArgument, ""),
		bad("a total that overflows", lines(expensive...), codes.OutOfRange, "TOTAL_OUT_OF_RANGE"),
		bad("one sku twice", lines(line(buyer.sku, 1), line(buyer.sku, 2)), codes.InvalidArgument, ""),
		bad("nothing to pay", lines(line("free", 1)), codes.InvalidArgument, "NOTHING_TO_PAY"),
		bad("no request_id", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId = "" }), codes.InvalidArgument, ""),
		bad("request_id too long", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId = long }), codes.InvalidArgument, ""),
		bad("account_id too long", place(func(r *orderpb.PlaceOrderRequest) { r.AccountId = long }), codes.InvalidArgument, ""),
		bad("sku too long", lines(line(long, 1)), codes.InvalidArgument, ""),
		bad("request_id with a space", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId = "a b" }), codes.InvalidArgument, ""),
		bad("request_id with a newline", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId = "new\n" }), codes.InvalidArgument, ""),
		bad("request_id not ASCII", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId = "naïve" }), codes.InvalidArgument, ""),
		bad("request_id not UTF-8", mangle(place(func(*orderpb.PlaceOrderRequest) {}), "new"), codes.InvalidArgument, ""),
		bad("account_id not UTF-8", mangle(place(func(*orderpb.PlaceOrderRequest) {}), buyer.account), codes.InvalidArgument, ""),
		bad("sku not UTF-8", mangle(place(func(*orderpb.PlaceOrderRequest) {}), buyer.sku), codes.InvalidArgument, ""),
		bad("no protobuf", []byte("{\"request_id\": \"new\"}"), codes.InvalidArgument, ""),
		bad("cut off", []byte{0x0a, 0x40, 'x'}, codes.InvalidArgument, ""),
		bad("more than 4 MiB", make([]byte, 5<<20), codes.ResourceExhausted, ""),
		bad("request_id of another quantity", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId, r.Lines[0].Quantity = buyer.requestID, 1 }), codes.AlreadyExists, "REQUEST_ID_REUSED"),
		bad("request_id of another item", place(func(r *orderpb.PlaceOrderRequest) { r.RequestId, r.Lines[0].Sku = buyer.requestID, "plenty" }), codes.AlreadyExists, "REQUEST_ID_REUSED"),
		{"an unknown method", at, "/tcckit.order.v1.OrderService/TakeOrder", buyer.request(), anybody, codes.Unimplemented, ""},
		{"an unknown service", at, "/tcckit.order.v2.OrderService/PlaceOrder", buyer.request(), anybody, codes.Unimplemented, ""},
	}
}

// mangle encodes a request with bytes that are no UTF-8 in place of a text's beginning.
func mangle(m proto.Message, text string) []byte {
	encoded, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return bytes.Replace(encoded, []byte(text), append([]byte("\xff\xfe"), text[2:]...), 1)
}

func badReads(public map[string]*grpc.ClientConn) []badInput {
	return []badInput{
		{"GetOrder: no order_id", public[order], orderpb.OrderService_GetOrder_FullMethodName, &orderpb.GetOrderRequest{}, anybody, codes.InvalidArgument, ""},
		{"GetOrder: no such order", public[order], orderpb.OrderService_GetOrder_FullMethodName, &orderpb.GetOrderRequest{OrderId: "no-such-order"}, anybody, codes.NotFound, ""},
		{"GetOrder: order_id too long", public[order], orderpb.OrderService_GetOrder_FullMethodName, &orderpb.GetOrderRequest{OrderId: strings.Repeat("x", 129)}, anybody, codes.InvalidArgument, ""},
		{"ListOrders: negative page_size", public[order], orderpb.OrderService_ListOrders_FullMethodName, &orderpb.ListOrdersRequest{AccountId: "a", PageSize: -1}, anybody, codes.InvalidArgument, ""},
		{"ListOrders: a page_token of nobody's", public[order], orderpb.OrderService_ListOrders_FullMethodName, &orderpb.ListOrdersRequest{AccountId: "a", PageToken: "page 2"}, anybody, codes.InvalidArgument, ""},
		{"GetAccount: no such account", public[account], accountpb.AccountService_GetAccount_FullMethodName, &accountpb.GetAccountRequest{AccountId: "nobody"}, anybody, codes.NotFound, "UNKNOWN_ACCOUNT"},
		{"GetItem: no such item", public[stock], stockpb.StockService_GetItem_FullMethodName, &stockpb.GetItemRequest{Sku: "nothing"}, anybody, codes.NotFound, "UNKNOWN_SKU"},
		{"ListItems: a page_token of nobody's", public[stock], stockpb.StockService_ListItems_FullMethodName, &stockpb.ListItemsRequest{PageToken: "page 2"}, anybody, codes.InvalidArgument, ""},
	}
}

// notForThePublic are calls that work on the internal listener alone, by callers who may make them there.
func notForThePublic(s *shop, buyer *customer, public map[string]*grpc.ClientConn) []badInput {
	var cases []badInput
	add := func(service, method string, request proto.Message, as caller) {
		cases = append(cases, badInput{"public: " + method, public[service], method, request, as, codes.PermissionDenied, ""})
	}
	for _, phase := range []tcc.Phase{tcc.Try, tcc.Confirm, tcc.Cancel} {
		for _, service := range services() {
			full := fullMethod(service, phase)
			add(service, full, branchRequest(service, buyer), s.branch("public", phase, full))
		}
	}
	add(account, accountpb.AccountService_OpenAccount_FullMethodName, &accountpb.OpenAccountRequest{RequestId: "new", AccountId: "new", Currency: currency}, anybody)
	add(account, accountpb.AccountService_Deposit_FullMethodName, &accountpb.DepositRequest{RequestId: "new", AccountId: buyer.account, Amount: money(1)}, anybody)
	add(stock, stockpb.StockService_PutItem_FullMethodName, &stockpb.PutItemRequest{RequestId: "new", Sku: "new", Add: 1, Price: money(1)}, anybody)
	newOrder := buyer.request()
	newOrder.RequestId = "new"
	add(order, orderpb.OrderService_PlaceOrder_FullMethodName, newOrder, s.branch("public", tcc.Try, ""))
	add(account, accountpb.AccountService_GetAccount_FullMethodName, &accountpb.GetAccountRequest{AccountId: buyer.account}, s.branch("public", tcc.Confirm, ""))
	return cases
}

func badAdministration(s *shop, buyer *customer, internal map[string]*grpc.ClientConn) []badInput {
	open := func(name, request, id, currency string, code codes.Code, reason string) badInput {
		return badInput{
			"OpenAccount: " + name, internal[account], accountpb.AccountService_OpenAccount_FullMethodName,
			&accountpb.OpenAccountRequest{RequestId: request, AccountId: id, Currency: currency}, anybody, code, reason,
		}
	}
	deposit := func(name, request, id string, amount *commonpb.Money, code codes.Code, reason string) badInput {
		return badInput{
			"Deposit: " + name, internal[account], accountpb.AccountService_Deposit_FullMethodName,
			&accountpb.DepositRequest{RequestId: request, AccountId: id, Amount: amount}, anybody, code, reason,
		}
	}
	put := func(name, request, sku string, add int64, price *commonpb.Money, code codes.Code, reason string) badInput {
		return badInput{
			"PutItem: " + name, internal[stock], stockpb.StockService_PutItem_FullMethodName,
			&stockpb.PutItemRequest{RequestId: request, Sku: sku, Add: add, Price: price}, anybody, code, reason,
		}
	}
	return []badInput{
		open("the id is taken", "new", buyer.account, currency, codes.AlreadyExists, "ACCOUNT_EXISTS"),
		open("request_id of another account", "open-"+buyer.account, "new", currency, codes.AlreadyExists, "REQUEST_ID_REUSED"),
		open("no currency", "new", "new", "", codes.InvalidArgument, ""),
		open("a currency in small letters", "new", "new", "eur", codes.InvalidArgument, ""),
		deposit("nothing", "new", buyer.account, money(0), codes.InvalidArgument, ""),
		deposit("a negative amount", "new", buyer.account, money(-5), codes.InvalidArgument, ""),
		deposit("no amount", "new", buyer.account, nil, codes.InvalidArgument, ""),
		deposit("no such account", "new", "nobody", money(5), codes.NotFound, "UNKNOWN_ACCOUNT"),
		deposit("another currency", "new", buyer.account, &commonpb.Money{Amount: 5, Currency: "USD"}, codes.FailedPrecondition, "CURRENCY_MISMATCH"),
		deposit("more than fits", "new", "full", money(1<<62), codes.OutOfRange, "BALANCE_OVERFLOW"),
		deposit("request_id of another amount", "deposit-"+buyer.account, buyer.account, money(5), codes.AlreadyExists, "REQUEST_ID_REUSED"),
		put("a negative number", "new", buyer.sku, -1, money(1), codes.InvalidArgument, ""),
		put("a negative price", "new", buyer.sku, 1, money(-1), codes.InvalidArgument, ""),
		put("no price", "new", buyer.sku, 1, nil, codes.InvalidArgument, ""),
		put("request_id of another item", "put-"+buyer.sku, "new", 1, money(1), codes.AlreadyExists, "REQUEST_ID_REUSED"),
		{"Deposit as a branch", internal[account], accountpb.AccountService_Deposit_FullMethodName, &accountpb.DepositRequest{RequestId: "new", AccountId: buyer.account, Amount: money(-5)}, s.branch("g", tcc.Confirm, ""), codes.InvalidArgument, ""},
	}
}

// badBranches are calls of branches by somebody who may not make them, or with what no initiator sends.
func badBranches(s *shop, buyer *customer, internal map[string]*grpc.ClientConn) []badInput {
	var cases []badInput
	for _, service := range services() {
		for _, phase := range []tcc.Phase{tcc.Try, tcc.Confirm, tcc.Cancel} {
			full, request := fullMethod(service, phase), branchRequest(service, buyer)
			for _, c := range []struct {
				name string
				as   caller
				code codes.Code
			}{
				{"without a global transaction", anybody, codes.InvalidArgument},
				{"without a signature", signed("g", phase, full, ""), codes.PermissionDenied},
				{"with a forged signature", signed("g", phase, full, strangerKeys().Sign("g", time.Now())), codes.PermissionDenied},
				{"with another transaction's signature", signed("g", phase, full, s.keys.Sign("h", time.Now())), codes.PermissionDenied},
				{"with a signature of tomorrow", signed("g", phase, full, s.keys.Sign("g", time.Now().Add(24*time.Hour))), codes.PermissionDenied},
				{"as another phase", s.branch("g", phase%3+1, full), codes.InvalidArgument},
				{"with half a branch", half(s.branch("g", phase, full), "dtm-branch_id"), codes.InvalidArgument},
				{"without a phase", half(s.branch("g", phase, full), "dtm-op"), codes.InvalidArgument},
				{"with a gid too long", s.branch(strings.Repeat("g", 129), phase, full), codes.InvalidArgument},
				{"with a gid of two lines", s.branch("g h", phase, full), codes.InvalidArgument},
			} {
				cases = append(cases, badInput{method(service, phase) + " " + c.name, internal[service], full, request, c.as, c.code, ""})
			}
			cases = append(cases, badInput{
				method(service, phase) + ": no protobuf", internal[service], full, []byte{0xff}, s.branch("g", phase, full), codes.InvalidArgument, "",
			})
		}
	}
	bad := func(name, service string, request proto.Message) {
		full := fullMethod(service, tcc.Try)
		cases = append(cases, badInput{method(service, tcc.Try) + ": " + name, internal[service], full, request, s.branch("g", tcc.Try, full), codes.InvalidArgument, ""})
	}
	old := fullMethod(account, tcc.Try)
	cases = append(cases, badInput{
		"TryDebit with a signature of the day before yesterday", internal[account], old, branchRequest(account, buyer),
		signed("g", tcc.Try, old, s.keys.Sign("g", time.Now().Add(-48*time.Hour))), codes.PermissionDenied, "",
	})
	bad("nothing", account, &accountpb.DebitRequest{AccountId: buyer.account, Amount: money(0)})
	bad("a negative amount", account, &accountpb.DebitRequest{AccountId: buyer.account, Amount: money(-100)})
	bad("no amount", account, &accountpb.DebitRequest{AccountId: buyer.account})
	bad("no account", account, &accountpb.DebitRequest{Amount: money(1)})
	bad("no lines", stock, &stockpb.ReserveRequest{})
	bad("quantity 0", stock, reserve(&stockpb.ReserveLine{Sku: buyer.sku, Quantity: 0, Price: money(buyer.price)}))
	bad("negative quantity", stock, reserve(&stockpb.ReserveLine{Sku: buyer.sku, Quantity: -1, Price: money(buyer.price)}))
	bad("one sku twice", stock, reserve(
		&stockpb.ReserveLine{Sku: buyer.sku, Quantity: 1, Price: money(buyer.price)},
		&stockpb.ReserveLine{Sku: buyer.sku, Quantity: 1, Price: money(buyer.price)}))
	bad("no lines", order, &orderpb.CreateRequest{RequestId: "new", AccountId: buyer.account, Total: money(1)})
	bad("a total that the lines do not come to", order, &orderpb.CreateRequest{
		RequestId: "new", AccountId: buyer.account, Total: money(1),
		Lines: []*orderpb.OrderLine{{Sku: buyer.sku, Quantity: 1, Price: money(buyer.price)}},
	})
	return cases
}

// branch makes a caller who may call a branch: the initiator, or DTM.
func (s *shop) branch(gid string, phase tcc.Phase, method string) caller {
	return signed(gid, phase, method, s.keys.Sign(gid, time.Now()))
}

func signed(gid string, phase tcc.Phase, method, signature string) caller {
	return func(ctx context.Context) context.Context {
		return tcc.Outgoing(ctx, tcc.Branch{GID: gid, ID: "b", Phase: phase, Method: method}, signature)
	}
}

// half leaves out one of the branch's metadata.
func half(whole caller, without string) caller {
	return func(ctx context.Context) context.Context {
		ctx = whole(ctx)
		md, _ := metadata.FromOutgoingContext(ctx)
		md = md.Copy()
		md.Delete(without)
		return metadata.NewOutgoingContext(ctx, md)
	}
}

// strangerKeys are keys of somebody who knows the key's id and not the key.
func strangerKeys() *tcc.Keyring {
	keys, err := tcc.NewKeyring("e2e", map[string][]byte{"e2e": bytes.Repeat([]byte("x"), tcc.MinKeyLen)})
	if err != nil {
		panic(err)
	}
	return keys
}

func fullMethod(service string, phase tcc.Phase) string {
	name := map[string]string{account: "Account", stock: "Stock", order: "Order"}[service]
	return "/tcckit." + service + ".v1." + name + "Service/" + method(service, phase)
}

// branchRequest is a request with which a service's branch would work.
func branchRequest(service string, c *customer) proto.Message {
	switch service {
	case account:
		return &accountpb.DebitRequest{AccountId: c.account, Amount: money(1)}
	case stock:
		return reserve(&stockpb.ReserveLine{Sku: c.sku, Quantity: 1, Price: money(c.price)})
	default:
		return &orderpb.CreateRequest{
			RequestId: "new", AccountId: c.account, Total: money(c.price),
			Lines: []*orderpb.OrderLine{{Sku: c.sku, Quantity: 1, Price: money(c.price)}},
		}
	}
}

func reserve(lines ...*stockpb.ReserveLine) *stockpb.ReserveRequest {
	return &stockpb.ReserveRequest{Lines: lines}
}
