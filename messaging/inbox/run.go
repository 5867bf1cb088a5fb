package inbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

const (
	// attempts bounds how often a transaction is run that the server has
	// undone, or of which it is not known whether it was committed.
	attempts = 5
	// settleTimeout bounds the writing down of what became of a run, whose
	// own context may have ended.
	settleTimeout = 10 * time.Second
)

var (
	// errExists says that the message has a row of another run.
	errExists = errors.New("the message has a row already")
	// errTimeout is why the context of a try ends.
	errTimeout = errors.New("the handler did not end in time")
)

// run is one run of a message.
type run struct {
	id  string
	msg *message.Message
	// claim is what the message's row is held by; empty: it had none yet.
	claim string
	// tries counts this run too, excused those before that do not count.
	tries, excused int
	// waited is how long the message has been parked.
	waited time.Duration
	// reason is what the last run met, of a row that was claimed.
	reason string
	// inPlace: if it fails, the broker shall deliver it again.
	inPlace bool
	// apart: the row takes a round trip of its own, see opening.
	apart bool

	began time.Time
	ready bool // the handler was asked
	work  Work
}

// claimName is a new value for claimed_by.
func claimName() string { return rand.Text() }

// do runs the message. Nil says that its work and its row were committed,
// errExists that the row is another's.
func (i *Inbox) do(ctx context.Context, r *run) error {
	if r.msg.UUID == "" {
		return errNoID
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	i.running.add(r)
	defer i.running.remove(r)
	ctx, cancel := context.WithTimeoutCause(ctx, i.cfg.Timeout, errTimeout)
	defer cancel()
	err := i.prepare(ctx, r)
	if err == nil {
		err = i.transact(ctx, r)
	}
	if err != nil && !errors.Is(err, errExists) && errors.Is(context.Cause(ctx), errTimeout) {
		return fmt.Errorf("%w: %s (%w)", errTimeout, i.cfg.Timeout, err)
	}
	return err
}

// prepare asks the handler for the work, once a run.
func (i *Inbox) prepare(ctx context.Context, r *run) error {
	if r.ready {
		return nil
	}
	msg := r.msg.Copy()
	msg.SetContext(ctx)
	err := guard(ctx, i.cfg.Logger, func() (err error) {
		r.work, err = i.cfg.Handler(ctx, msg)
		return err
	})
	r.ready = err == nil
	return err
}

// transact runs the work in a transaction that begins with the row, and again
// where the database has undone it or leaves open whether it was committed: the
// row tells.
func (i *Inbox) transact(ctx context.Context, r *run) error {
	for n := 1; ; n++ {
		err := i.transactOnce(ctx, r)
		if errors.Is(err, errTogether) && ctx.Err() == nil {
			err = i.transactOnce(ctx, r)
		}
		if c := classify(err); err == nil || c == final || n == attempts || ctx.Err() != nil {
			return err
		}
		i.telemetry.restarted(ctx)
		if pause(ctx, restart(n)) != nil {
			return err
		}
	}
}

// restart is the pause before a transaction is run again: those that have
// stopped each other must not meet again.
func restart(n int) time.Duration {
	return time.Duration(mathrand.Int64N(int64(4 * time.Millisecond << n)))
}

func (i *Inbox) transactOnce(ctx context.Context, r *run) error {
	conn, err := i.cfg.DB.Conn(ctx)
	if err != nil {
		return &databaseError{err}
	}
	t := &Tx{conn: conn, opening: i.opening(r)}
	// After a commit this is an error of no interest.
	defer func() { _ = t.end("ROLLBACK") }()
	if r.apart || r.work == nil {
		t.begin(ctx)
	}
	// A work that ignores the end of its time must not keep its locks.
	t.keep = context.AfterFunc(ctx, t.sever)
	if r.work != nil && t.refused == nil {
		err = guard(ctx, i.cfg.Logger, func() error { return r.work(ctx, t) })
		// A duplicate is one whatever its work says that needed no database.
		t.begin(ctx)
	}
	switch {
	case t.refused != nil:
		r.apart = r.apart || t.together
		return t.refused
	case t.ended != nil:
		return &databaseError{t.ended}
	case err != nil:
		return err
	}
	if err := t.end("COMMIT"); err != nil {
		return &databaseError{err}
	}
	t.committed(ctx, i.cfg.Logger)
	return nil
}

// databaseTrouble reports whether err is the database's own and not to be held
// against the message. After a timeout nobody can tell.
func databaseTrouble(err error) bool {
	var own *databaseError
	c := classify(err)
	return !errors.Is(err, errTimeout) && (errors.As(err, &own) || c == lockWait || c == undone)
}
