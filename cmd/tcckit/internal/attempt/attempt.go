// Package attempt has DTM try a transaction again, by whatever works on its store, and sees that it did.
package attempt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/coordinator"
)

const (
	// poll is the pause between two looks.
	poll = 200 * time.Millisecond
	// oneLook is for how long a transaction that was made due is waited for: DTM looks every 3 s
	// (TRANS_CRON_INTERVAL), and at one after the other.
	oneLook = 8 * time.Second
	// calls is how long what an attempt calls may take until nothing more is expected of it: DTM gives a call 3 s
	// (REQUEST_TIMEOUT).
	calls = 4 * time.Second
)

// errNotSeen says that DTM did not do what it was told.
var errNotSeen = errors.New("the coordinator did not try it")

// Have has the transaction tried that was seen as before, and returns it as it is after the attempt. It waits until
// ctx ends, whose error it then wraps. The transaction may be returned with an error.
//
// cmd/dtm-server, and DTM on MySQL, can be told to try one. Stock DTM on Redis and boltdb answers the same and does
// nothing: it can be told to try those that wait for at least so long, of which it takes those that wait the
// shortest.
func Have(ctx context.Context, client *coordinator.Client, before *coordinator.Info) (*coordinator.Info, error) {
	if err := client.MakeDue(ctx, before.GID); err != nil {
		return nil, err
	}
	now, err := see(ctx, client, before, oneLook)
	for limit := 1; errors.Is(err, errNotSeen); limit = min(10*limit, coordinator.MaxRetryNow) {
		waits := max(time.Until(before.NextRetry)-2*time.Second, time.Second)
		if _, err := client.RetryNow(ctx, waits, limit); err != nil {
			return now, err
		}
		now, err = see(ctx, client, before, oneLook)
	}
	if err != nil {
		return now, err
	}
	return settled(ctx, client, now), nil
}

// see waits until the transaction was tried, errNotSeen if not within the time given.
func see(ctx context.Context, client *coordinator.Client, before *coordinator.Info, within time.Duration) (now *coordinator.Info, err error) {
	for deadline := time.Now().Add(within); ; {
		if now, err = client.Query(ctx, before.GID); err != nil || tried(before, now) {
			return now, err
		}
		if time.Now().After(deadline) {
			return now, errNotSeen
		}
		if err := pause(ctx); err != nil {
			return now, fmt.Errorf("%w: %w", errNotSeen, err)
		}
	}
}

// tried reports whether DTM has tried a transaction since it was seen before: it doubles the interval before it
// calls anybody, and sets it back when a call succeeds.
func tried(before, now *coordinator.Info) bool {
	return now.Status != before.Status || now.RetryInterval != before.RetryInterval || done(now) != done(before)
}

// done counts the calls that succeeded.
func done(t *coordinator.Info) (n int) {
	for _, c := range t.Calls {
		if c.Done {
			n++
		}
	}
	return n
}

// settled waits until the attempt has come to its end, as far as that can be seen: the transaction is finished, or
// nothing has changed for as long as a call may take. Whatever ends the looking, it was tried.
func settled(ctx context.Context, client *coordinator.Client, now *coordinator.Info) *coordinator.Info {
	for changed := time.Now(); !now.Status.Finished() && time.Since(changed) < calls; {
		if pause(ctx) != nil {
			return now
		}
		next, err := client.Query(ctx, now.GID)
		if err != nil {
			return now
		}
		if tried(now, next) {
			changed = time.Now()
		}
		now = next
	}
	return now
}

func pause(ctx context.Context) error {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
