package order

import (
	"bytes"
	"strconv"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/tcc"
)

// key identifies a request.
type key struct{ account, request string }

// request is what is known of a request: its row, and the order of the attempt
// that the row names.
type request struct {
	body    []byte // its fingerprint
	gid     string // of the current attempt
	tried   bool   // the attempt's TryCreate has taken effect
	leased  bool   // the attempt's lease has not passed
	outcome *tcc.Rejection
	order   pb.OrderStatus // of the attempt's order, UNSPECIFIED if there is none
}

// fingerprint tells one body from another.
func fingerprint(req *pb.PlaceOrderRequest) []byte {
	fields := []string{"PlaceOrder", req.GetAccountId()}
	for _, l := range req.GetLines() {
		fields = append(fields, l.GetSku(), strconv.FormatInt(l.GetQuantity(), 10))
	}
	if ids := req.GetCartLineIds(); len(ids) > 0 {
		// A field that no sku can be keeps the two lists apart.
		fields = append(append(fields, ""), ids...)
	}
	return database.Fingerprint(fields...)
}

// verdict is what a call does about a request that was seen before.
type verdict uint8

const (
	// refuse: the request id stands for another body.
	refuse verdict = iota + 1
	// rejected: that is the answer, for good.
	rejected
	// confirmed: that is the answer.
	confirmed
	// undecided: the order is made, and the coordinator will decide it.
	undecided
	// busy: another call is at it, and there is no order at the moment.
	busy
	// free: the attempt came to nothing, and may be taken over.
	free
)

// judge decides what to do about a request. store.takeOver checks what it says
// of free once more, with the row locked.
func judge(r request, body []byte) verdict {
	switch {
	case !bytes.Equal(r.body, body):
		return refuse
	case r.outcome != nil:
		return rejected
	case r.order == pb.OrderStatus_ORDER_STATUS_CONFIRMED:
		return confirmed
	case r.order == pb.OrderStatus_ORDER_STATUS_PENDING:
		return undecided
	case r.leased:
		return busy
	default:
		return free
	}
}
