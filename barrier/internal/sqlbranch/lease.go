package sqlbranch

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Lease is one connection taken out of a pool at the driver's level, where
// results say how many rows each of several statements changed. It is for one
// goroutine at a time and must be given back.
type Lease struct {
	Conn     driver.Conn
	clean    chan bool
	finished chan struct{}
	spoilt   bool
}

// Acquire takes a connection out of db. The error is that of db.Conn.
func Acquire(ctx context.Context, db *sql.DB) (*Lease, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	l := &Lease{clean: make(chan bool, 1), finished: make(chan struct{})}
	ready := make(chan error, 1)
	// database/sql lends the driver's connection only for the length of a
	// callback, while a work function may ask for it in its middle: so the
	// callback waits on a goroutine of its own, which GiveBack ends.
	go func() {
		defer close(l.finished)
		defer func() { _ = conn.Close() }()
		rawErr := conn.Raw(func(dc any) error {
			c, ok := dc.(driver.Conn)
			if !ok {
				ready <- fmt.Errorf("barrier: the driver's connection is a %T, which is no driver.Conn", dc)
				return nil
			}
			l.Conn = c
			ready <- nil
			if <-l.clean {
				return nil
			}
			// This is how database/sql is told to close a connection.
			return driver.ErrBadConn
		})
		if rawErr != nil {
			select {
			case ready <- rawErr:
			default:
			}
		}
	}()
	if err := <-ready; err != nil {
		<-l.finished
		return nil, err
	}
	return l, nil
}

// Use lends f a connection of db for as long as it runs, on its own goroutine.
// f reports whether no transaction can be open on the connection; otherwise it
// is closed. The error is that of db.Conn.
func Use(ctx context.Context, db *sql.DB, f func(l *Lease) (clean bool)) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var misfit error
	err = conn.Raw(func(dc any) error {
		c, ok := dc.(driver.Conn)
		if !ok {
			misfit = fmt.Errorf("barrier: the driver's connection is a %T, which is no driver.Conn", dc)
			return nil
		}
		l := &Lease{Conn: c}
		if clean := f(l); clean && !l.spoilt {
			return nil
		}
		return driver.ErrBadConn // see Acquire
	})
	if misfit != nil {
		return misfit
	}
	if errors.Is(err, driver.ErrBadConn) {
		return nil // f's own doing
	}
	return err
}

// Spoil has the connection closed when it is given back, however clean.
func (l *Lease) Spoil() { l.spoilt = true }

// GiveBack returns the connection to the pool if it is clean, that is, if no
// transaction can be open on it, and has it closed otherwise. It must be
// called once.
func (l *Lease) GiveBack(clean bool) {
	l.clean <- clean && !l.spoilt
	<-l.finished
}

// errNoExec is for drivers that cannot run a statement without preparing it.
var errNoExec = errors.New("barrier: the driver's connections have no ExecContext")

// Exec runs query on the leased connection, past the guard that work is
// under. Arguments are converted as database/sql does.
func (l *Lease) Exec(ctx context.Context, query string, args ...any) (driver.Result, error) {
	execer, ok := l.Conn.(driver.ExecerContext)
	if !ok {
		return nil, errNoExec
	}
	named, err := namedValues(l.Conn, args)
	if err != nil {
		return nil, err
	}
	res, err := execer.ExecContext(ctx, query, named)
	if errors.Is(err, driver.ErrSkip) {
		return l.execPrepared(ctx, query, named)
	}
	return res, err
}

func (l *Lease) execPrepared(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	preparer, ok := l.Conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errNoExec
	}
	stmt, err := preparer.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stmt.Close() }()
	se, ok := stmt.(driver.StmtExecContext)
	if !ok {
		return nil, errNoExec
	}
	return se.ExecContext(ctx, args)
}

// namedValues converts args for the driver.
func namedValues(dc driver.Conn, args []any) ([]driver.NamedValue, error) {
	if len(args) == 0 {
		return nil, nil
	}
	checker, hasChecker := dc.(driver.NamedValueChecker)
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		err := driver.ErrSkip
		if hasChecker {
			err = checker.CheckNamedValue(&out[i])
		}
		if errors.Is(err, driver.ErrSkip) {
			out[i].Value, err = driver.DefaultParameterConverter.ConvertValue(a)
		}
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return out, nil
}
