package sqlbranch

import (
	"context"
	"database/sql/driver"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowConn is a connection whose statements take until release.
type slowConn struct {
	driver.Conn
	started, release chan struct{}
}

func (c *slowConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	close(c.started)
	<-c.release
	return driver.RowsAffected(1), nil
}

// TestEndWaitsForAStatement: a goroutine that work left behind must not be on
// the connection together with the COMMIT.
func TestEndWaitsForAStatement(t *testing.T) {
	conn := &slowConn{started: make(chan struct{}), release: make(chan struct{})}
	g := &guard{syntax: MySQL, may: mayRun, open: func(context.Context) (driver.Conn, error) { return conn, nil }}
	stray := make(chan error, 1)
	go func() {
		_, err := (&tx{guard: g}).ExecContext(context.WithoutCancel(t.Context()), "UPDATE a SET b = 1")
		stray <- err
	}()
	<-conn.started
	ended := make(chan error, 1)
	go func() { ended <- g.end() }()
	for !waitsForLock("sqlbranch.(*guard).end") {
		select {
		case <-ended:
			require.FailNow(t, "the connection was given up while a statement ran")
		default:
			runtime.Gosched()
		}
	}
	close(conn.release)
	require.ErrorIs(t, <-ended, errRunning)
	require.NoError(t, <-stray)
	_, err := (&tx{guard: g}).ExecContext(t.Context(), "UPDATE a SET b = 1")
	require.Error(t, err, "after the end")
}

// waitsForLock reports whether a goroutine waits for a mutex in a function.
func waitsForLock(function string) bool {
	buf := make([]byte, 1<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "sync.Mutex.Lock") && strings.Contains(g, function) {
			return true
		}
	}
	return false
}
