// Package sqlbranch is what the barrier's SQL stores share: it runs one
// delivery of a branch on one database connection, lends the connection to
// the work in a form that cannot escape the transaction, and decides between
// commit, rejection and rollback. What differs between databases is behind
// [Session].
package sqlbranch
