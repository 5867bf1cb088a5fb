// Package stock is the service that keeps goods and their prices.
//
// Pieces of an item are available, move to reserved when an order is tried, and
// from there to sold or back. What was ever put in is always the sum of the
// three, and none of them is ever negative: the statements guard it, and so do
// CHECK constraints. An order is reserved at the prices that it was quoted, or
// not at all.
package stock
