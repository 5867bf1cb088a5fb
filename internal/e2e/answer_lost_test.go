package e2e_test

import (
	"testing"
)

// answerLost cuts the connection of one call of an order, before the server gets it or after it has
// answered.
type answerLost struct {
	behind string // the relay: who is called
	when   moment
	method string
	ends   outcome
}

func (c answerLost) String() string {
	if c.when == before {
		return c.method + " lost" + c.ends.suffix()
	}
	return "answer to " + c.method + " lost" + c.ends.suffix()
}

// front is who is behind the relay between the client and order.
const front = "front"

// TestAnswerLost loses each of the calls of an order, and each of their answers, and sends the request again.
func TestAnswerLost(t *testing.T) {
	cases := []answerLost{
		{front, before, "PlaceOrder", confirmed},
		{front, after, "PlaceOrder", confirmed},
		{front, after, "PlaceOrder", outOfStock},
		{stock, before, "ListItems", confirmed},
		{stock, after, "ListItems", confirmed},
		{dtm, before, "Prepare", confirmed},
		{dtm, after, "Prepare", confirmed},
		{dtm, before, "RegisterBranch/ConfirmCreate", confirmed},
		{dtm, after, "RegisterBranch/ConfirmCreate", confirmed},
		{dtm, before, "RegisterBranch/ConfirmDebit", confirmed},
		{dtm, after, "RegisterBranch/ConfirmDebit", confirmed},
		{dtm, before, "RegisterBranch/ConfirmReserve", confirmed},
		{dtm, after, "RegisterBranch/ConfirmReserve", confirmed},
		{order, before, "TryCreate", confirmed},
		{order, after, "TryCreate", confirmed},
		{account, before, "TryDebit", confirmed},
		{account, after, "TryDebit", confirmed},
		{account, after, "TryDebit", outOfBalance},
		{stock, before, "TryReserve", confirmed},
		{stock, after, "TryReserve", confirmed},
		{stock, after, "TryReserve", outOfStock},
		{dtm, before, "Submit", confirmed},
		{dtm, after, "Submit", confirmed},
		{dtm, before, "Abort", outOfStock},
		{dtm, after, "Abort", outOfBalance},
		{stock, before, "ConfirmReserve", confirmed},
		{stock, after, "ConfirmReserve", confirmed},
		{account, after, "ConfirmDebit", confirmed},
		{order, after, "ConfirmCreate", confirmed},
		{stock, after, "CancelReserve", outOfBalance},
		{account, after, "CancelDebit", outOfStock},
		{order, after, "CancelCreate", outOfStock},
	}
	onEachStore(t, func(t *testing.T, store dtmStore) { inShops(t, store, 2, cases, answerLost.run) })
}

func (c answerLost) run(t *testing.T, s *shop) {
	buyer := s.customer(t, c.ends)
	link := s.front
	if c.behind != front {
		link = s.relays[c.behind]
	}
	point := link.hold(c.when, c.method)
	call := buyer.place(t)
	point.wait(t)
	point.cut()
	call.wait(t) // if the order service got over it, this is the answer, too

	buyer.again(t)
	s.settled(t)
	buyer.done(t)
}
