// Package order is the service that takes orders, and the initiator of their
// global transactions.
//
// An order is a global transaction of three branches: the order itself, the
// account's debit and the stock's reservation. The order is registered first,
// and so confirmed last: when it reads CONFIRMED everything is.
//
// # One order for a request
//
// A request, (account_id, request_id), has a row in order_request, committed
// before anything else happens, with the gid of its current attempt. At most
// one attempt can ever create an order:
//
//   - An attempt's TryCreate first marks the row as tried, on condition that
//     the row still names the attempt's gid and has no outcome. It inserts the
//     order in the same transaction.
//   - Another call takes an attempt over, giving the row a new gid, only if the
//     row is not tried, or the order of the old gid is CANCELLED. It locks the
//     row for that.
//
// So whichever comes first fences the other off, and no clock decides. The
// lease in the row says when taking over is worth while; it protects nothing.
//
// What a crash leaves behind: before Prepare, a request row that the next call
// takes over once the lease has passed. Between Prepare and Submit, a global
// transaction that the coordinator aborts when its time is over; the order, if
// there is one, is cancelled by that and a later call begins again. After
// Submit, an order that the coordinator confirms.
package order
