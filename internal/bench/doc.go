// Package bench measures how many orders a second the framework carries, beside what the coordinator alone
// would allow, in one run, and verifies after each round that no money and no piece was lost.
package bench
