// Package barriertest holds the cases that every barrier.Store must pass: the
// duplicates, empty cancels, late tries, races, deadlocks, lost connections
// and careless work functions that a participant's database meets in a year.
//
// A store's own test hands [Run] and [Property] a [Harness] that opens real
// databases:
//
//	func TestConformance(t *testing.T) {
//		barriertest.Run(t, barriertest.Harness{Dialect: barriertest.MySQL, Open: open})
//	}
//
// The cases move money and goods between columns of business tables that the
// suite creates itself. After each case the barrier's rows, the business rows
// and what was answered must tell the same story, no transaction may be left
// open at the server, and the next user of each pooled connection must find it
// clean.
//
// The cases want a database of their own and count what the server has open
// in it, so a test that calls Run must not run in parallel with others on the
// same database. With -short the races run fewer rounds.
package barriertest
