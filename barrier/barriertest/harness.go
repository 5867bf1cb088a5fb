package barriertest

import (
	"context"
	"database/sql"
	"testing"

	"github.com/tcckit/tcckit/barrier"
)

// Harness connects the suite to the store under test.
type Harness struct {
	// Dialect is the SQL that the suite itself may speak to the database.
	Dialect Dialect
	// Open makes an empty database that has the barrier's table. It is called
	// once for each case; what it opens ends with t.
	Open func(t *testing.T) Database
}

// Database is one participant's database.
type Database struct {
	// DB looks at the database from outside, and holds locks. None of its
	// connections is a store's, and it must allow at least 4.
	DB *sql.DB
	// Store opens a store with a pool of its own, as another process would.
	// Its pool must allow at least 16 connections if the database can write
	// on several at once.
	Store func(t *testing.T) Instance
	// Proxied is Store with a Proxy between the store and its server. Nil if
	// there is no network to cut, as with a file.
	Proxied func(t *testing.T) (Instance, Proxy)
}

// Instance is a store and its pool.
type Instance struct {
	Store barrier.Store
	// Pool is where the store takes its connections from, and what the
	// participant uses for everything that is no branch.
	Pool *sql.DB
}

// Proxy makes the network between one store and its server fail. The suite
// asks each for one cut only, except that it may ask for many of the same.
type Proxy interface {
	// CutBeforeCommit cuts, once, the connection that sends the next COMMIT,
	// which the server does not get.
	CutBeforeCommit() Point
	// CutAfterCommit cuts, once, the connection that sends the next COMMIT
	// when the server has run it, before its answer gets through.
	CutAfterCommit() Point
	// Refuse cuts all connections and refuses new ones, until Accept.
	Refuse()
	// Accept ends Refuse.
	Accept()
}

// Point is a moment that a Proxy waits for.
type Point interface {
	// Wait returns nil when the moment has come and the connection is cut,
	// and ctx's error if that ends before.
	Wait(ctx context.Context) error
}
