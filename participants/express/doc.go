// Package express is the service that takes orders which are paid at the door,
// so that nothing but stock has to change: the local message table at work,
// beside which package order does the same and more by TCC.
//
//   - PlaceExpressOrder inserts the order as PENDING, and the message that asks
//     stock to take the goods out, in one transaction: see package outbox.
//   - Stock takes out all of the lines or none, and writes the result to an
//     outbox of its own, in the transaction that holds the message's inbox row.
//   - The result makes the order CONFIRMED, or CANCELLED with stock's reason, in
//     one transaction with the outbox row and the result's inbox row.
//
// The message carries the order's id. One without a result is sent again, which
// stock's inbox notices.
package express
