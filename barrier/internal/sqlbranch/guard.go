package sqlbranch

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

var (
	errEnded    = errors.New("barrier: the branch's transaction has ended; a Tx is valid only inside its work function")
	errRowsOpen = errors.New("barrier: rows are still open; close them before the next statement and before the work returns")
	errRunning  = errors.New("barrier: a statement was still running when the work returned; wait for the goroutines that use the Tx")
	errNoNested = fmt.Errorf("%w: a branch has one transaction, which the barrier begins and ends", errRefused)
)

// guard lends a connection to work. Everything that work can reach, prepared
// statements and rows included, passes here at the driver's level, so that a
// statement cannot end the transaction, run after its end, or fail unseen.
//
// It is a driver.Connector: database/sql is put on top of it again, to give
// work its usual types. Each of database/sql's connections is the same one
// underneath.
type guard struct {
	// open begins the transaction, if it has not begun, and returns its
	// connection. Its error is what work's statement returns.
	open func(ctx context.Context) (driver.Conn, error)
	// openWith, if not nil, begins it with a statement, if that can be. It is
	// asked once: after the first Exec the transaction has begun.
	openWith func(ctx context.Context, query string, args []any) (res sql.Result, sent bool, err error)
	syntax   Syntax
	// may says which statements may run, by their first words.
	may func(word string) bool

	// limit, if not nil, ends statements that run for longer, whatever context
	// work gives them.
	limit context.Context

	// using is held while the connection is used for a statement.
	using   sync.Mutex
	mu      sync.Mutex
	ended   bool
	failure error                     // the first statement that failed
	rows    map[*guardedRows]struct{} // open
	db      *sql.DB
}

// pool returns database/sql's view of the guard, made at its first use. After
// the end it is closed, so that its every use is an error.
func (g *guard) pool() *sql.DB {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.db == nil {
		g.db = sql.OpenDB(g)
		if g.ended {
			_ = g.db.Close()
		}
	}
	return g.db
}

// end makes every further use fail, closes what work left open, for the
// connection goes on to others, and reports the first failure, or that rows
// were left open. It waits for a statement that a goroutine of work left
// running, which would otherwise meet the transaction's end on the connection,
// or run after it.
func (g *guard) end() error {
	running := !g.using.TryLock()
	if running {
		g.using.Lock()
	}
	defer g.using.Unlock()
	g.mu.Lock()
	db := g.db
	g.mu.Unlock()
	if db != nil {
		_ = db.Close() // the facade, and with it the prepared statements
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	err := g.failure
	switch {
	case err != nil:
	case running:
		err = errRunning
	case len(g.rows) > 0:
		err = errRowsOpen
	}
	for r := range g.rows {
		_ = r.close()
	}
	return err
}

// stop is end for a work that does not: it waits for the statement that is
// running, which limit ends, and then the connection is the caller's.
func (g *guard) stop() {
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	g.using.Lock()
	defer g.using.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	for r := range g.rows {
		_ = r.close()
	}
}

// bound returns ctx, or one that ends with limit too.
func (g *guard) bound(ctx context.Context) context.Context {
	if g.limit == nil {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(g.limit, cancel) // rows may live until then
	return ctx
}

// execFirst runs the statement with which the transaction begins. sent is false
// if it does not, and nothing has happened.
func (g *guard) execFirst(ctx context.Context, query string, args []any) (res sql.Result, sent bool, err error) {
	g.using.Lock()
	defer g.using.Unlock()
	openWith := g.openWith
	if openWith == nil {
		return nil, false, nil
	}
	g.openWith = nil
	if err := g.begin(query); err != nil {
		return nil, true, err
	}
	res, sent, err = openWith(g.bound(ctx), query, args)
	return res, sent, g.done(err)
}

// flush has queued statements run before the next direct one. A failure is
// what that statement returns.
func (g *guard) flush(ctx context.Context) {
	g.using.Lock()
	defer g.using.Unlock()
	if g.begin() != nil {
		return
	}
	if _, err := g.open(ctx); err != nil {
		_ = g.done(err)
	}
}

// begin is called before each statement, with its text unless that was
// prepared before.
func (g *guard) begin(text ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return errEnded
	case g.failure != nil:
		// After a deadlock the server has no transaction any more, and a
		// further statement would commit by itself.
		return fmt.Errorf("barrier: an earlier statement of this branch failed: %w", g.failure)
	case len(g.rows) > 0:
		return g.fail(errRowsOpen)
	}
	for _, query := range text {
		if _, err := g.syntax.checkStatement(query, g.may); err != nil {
			return g.fail(err)
		}
	}
	return nil
}

// fail records err as the branch's failure. The caller holds mu.
func (g *guard) fail(err error) error {
	if g.failure == nil {
		g.failure = hideBadConn(err)
	}
	return g.failure
}

// done is called with the error of each statement.
func (g *guard) done(err error) error {
	if err == nil || errors.Is(err, driver.ErrSkip) {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.fail(err)
	return hideBadConn(err)
}

// lostError stands in for driver.ErrBadConn, on which database/sql would run
// the statement again on what it takes for another connection.
type lostError struct{}

func (lostError) Error() string { return "barrier: the connection is lost" }

func hideBadConn(err error) error {
	if errors.Is(err, driver.ErrBadConn) {
		return lostError{}
	}
	return err
}

// Connect implements driver.Connector.
func (g *guard) Connect(ctx context.Context) (driver.Conn, error) {
	g.using.Lock()
	defer g.using.Unlock()
	if err := g.begin(); err != nil {
		return nil, err
	}
	conn, err := g.open(g.bound(ctx))
	if err != nil {
		return nil, g.done(err)
	}
	return &guardedConn{g: g, conn: conn}, nil
}

// Driver implements driver.Connector.
func (g *guard) Driver() driver.Driver { return guardDriver{} }

type guardDriver struct{}

// Open implements driver.Driver.
func (guardDriver) Open(string) (driver.Conn, error) { return nil, errEnded }

// guardedConn is one of database/sql's connections on top of a guard.
type guardedConn struct {
	g    *guard
	conn driver.Conn
}

// Begin implements driver.Conn.
func (c *guardedConn) Begin() (driver.Tx, error) { return nil, c.g.done(errNoNested) }

// BeginTx implements driver.ConnBeginTx.
func (c *guardedConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return nil, c.g.done(errNoNested)
}

// Close implements driver.Conn. The connection underneath is not this one's.
func (c *guardedConn) Close() error { return nil }

// Prepare implements driver.Conn.
func (c *guardedConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *guardedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.g.using.Lock()
	defer c.g.using.Unlock()
	if err := c.g.begin(query); err != nil {
		return nil, err
	}
	p, ok := c.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, c.g.done(errNoExec)
	}
	stmt, err := p.PrepareContext(c.g.bound(ctx), query)
	if err != nil {
		return nil, c.g.done(err)
	}
	return &guardedStmt{g: c.g, conn: c, stmt: stmt}, nil
}

// ExecContext implements driver.ExecerContext.
func (c *guardedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.g.using.Lock()
	defer c.g.using.Unlock()
	if err := c.g.begin(query); err != nil {
		return nil, err
	}
	execer, ok := c.conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	res, err := execer.ExecContext(c.g.bound(ctx), query, args)
	if err != nil {
		return nil, c.g.done(err)
	}
	return res, nil
}

// QueryContext implements driver.QueryerContext.
func (c *guardedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.g.using.Lock()
	defer c.g.using.Unlock()
	if err := c.g.begin(query); err != nil {
		return nil, err
	}
	queryer, ok := c.conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	rows, err := queryer.QueryContext(c.g.bound(ctx), query, args)
	if err != nil {
		return nil, c.g.done(err)
	}
	return newGuardedRows(c.g, rows), nil
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *guardedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// guardedStmt is a prepared statement of work.
type guardedStmt struct {
	g    *guard
	conn *guardedConn
	stmt driver.Stmt
}

// Close implements driver.Stmt. After the branch's end the connection may be
// somebody else's, and is not touched; the server drops what was prepared
// when it closes the connection.
func (s *guardedStmt) Close() error {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if s.g.ended {
		return nil
	}
	return s.stmt.Close()
}

// NumInput implements driver.Stmt.
func (s *guardedStmt) NumInput() int { return s.stmt.NumInput() }

// Exec implements driver.Stmt; database/sql uses ExecContext.
func (s *guardedStmt) Exec([]driver.Value) (driver.Result, error) { return nil, errNoExec }

// Query implements driver.Stmt; database/sql uses QueryContext.
func (s *guardedStmt) Query([]driver.Value) (driver.Rows, error) { return nil, errNoExec }

// ExecContext implements driver.StmtExecContext.
func (s *guardedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.g.using.Lock()
	defer s.g.using.Unlock()
	if err := s.g.begin(); err != nil {
		return nil, err
	}
	se, ok := s.stmt.(driver.StmtExecContext)
	if !ok {
		return nil, s.g.done(errNoExec)
	}
	res, err := se.ExecContext(s.g.bound(ctx), args)
	return res, s.g.done(err)
}

// QueryContext implements driver.StmtQueryContext.
func (s *guardedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.g.using.Lock()
	defer s.g.using.Unlock()
	if err := s.g.begin(); err != nil {
		return nil, err
	}
	sq, ok := s.stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, s.g.done(errNoExec)
	}
	rows, err := sq.QueryContext(s.g.bound(ctx), args)
	if err != nil {
		return nil, s.g.done(err)
	}
	return newGuardedRows(s.g, rows), nil
}

// CheckNamedValue implements driver.NamedValueChecker.
func (s *guardedStmt) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := s.stmt.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}
