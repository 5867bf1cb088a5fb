// Package account is the service that keeps money.
//
// Money lies in an account as available, moves to frozen when an order is
// tried, and from there to spent or back. What was ever deposited is always
// the sum of the three, and none of them is ever negative: the statements
// guard it, and so do CHECK constraints.
package account
