// Package cart is the service that keeps what an account means to order.
//
// Each AddItem makes a line of its own, with an id that no other line ever had.
// An order names the lines that it is made from; once it is confirmed, a message
// takes exactly these out of the cart. So what was put in later stays, also if
// it is more of the same, and a message that comes twice finds nothing more to
// take.
package cart
