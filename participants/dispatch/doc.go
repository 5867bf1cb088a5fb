// Package dispatch is the service that sends confirmed orders on their way.
//
// The message order.confirmed makes a shipment, one for each order however often
// it comes. Before that dispatch asks the order service what the order is, and
// ships that: a message by itself moves no goods. If the order service's database
// has lost the order, dispatch asks it to make the order again from the message,
// which it does only if the coordinator and the other participants agree that it
// was paid.
package dispatch
