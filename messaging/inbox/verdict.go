package inbox

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

// verdict is what becomes of a message whose run failed.
type verdict struct {
	state   State
	excused int
	// delay is when it is due; never: the row waits for a delivery, or there
	// is nothing left to do.
	delay  time.Duration
	never  bool
	reason string
}

// due is what is added to the database's time; adding NULL is NULL.
func (v verdict) due() any {
	if v.never {
		return nil
	}
	return v.delay.Milliseconds()
}

// judge decides. It is a pure function of the run and the error, jitter aside.
func (i *Inbox) judge(r *run, cause error) verdict {
	permanent := errors.Is(cause, messaging.ErrPermanent)
	excuse := !permanent && (errors.Is(cause, messaging.ErrUnavailable) || databaseTrouble(cause))
	v := verdict{state: Parked, excused: r.excused, reason: cut(cause.Error(), maxError)}
	if excuse {
		v.excused++
	}
	switch {
	case permanent, !excuse && r.tries-v.excused >= i.cfg.MaxTries, excuse && r.waited > i.cfg.MaxAge:
		v.state, v.never = Dead, i.cfg.DeadLetters == nil
	default:
		v.delay, v.never = i.cfg.Backoff.after(r.tries), r.inPlace
	}
	return v
}

// settle writes down that a run failed, and wakes who goes on with it.
// errExists says that another run has decided meanwhile.
func (i *Inbox) settle(ctx context.Context, r *run, cause error) (verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	v := i.judge(r, cause)
	write := i.repark
	if r.claim == "" {
		write = i.park
	}
	if err := write(ctx, r, v); err != nil {
		return v, err
	}
	switch {
	case v.never:
	case v.state == Dead:
		i.bury.ring()
	default:
		i.retry.ring()
	}
	i.telemetry.failed(ctx, i, r, v)
	return v, nil
}

// cut shortens s to n bytes at the end of a character, of valid UTF-8.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	end := 0
	for at := range s {
		if at > n {
			break
		}
		end = at
	}
	return s[:end]
}

// bell wakes a loop; it rings once for many calls.
type bell chan struct{}

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
