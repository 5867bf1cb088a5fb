package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

const (
	modelTries    = 3
	modelMessages = 3
)

// ending is how a run of a message ends.
type ending string

const (
	succeeds    ending = "succeeds"
	fails       ending = "fails"
	panics      ending = "panics"
	permanent   ending = "permanent"
	unavailable ending = "unavailable"
)

// modelRow is what a message's row ought to be; the zero value: none.
type modelRow struct {
	state          inbox.State
	tries, excused int
}

// run is the row after a run that ended so.
func (r modelRow) run(e ending) modelRow {
	r.tries++
	r.state = inbox.Parked
	switch {
	case e == succeeds:
		r.state = inbox.Done
	case e == unavailable:
		r.excused++
	case e == permanent, r.tries-r.excused >= modelTries:
		r.state = inbox.Dead
	}
	return r
}

// history is one random history: messages delivered to two processes, one by one
// and several at once, tried again and replayed.
type history struct {
	g      *ground
	prefix string
	boxes  []*inbox.Inbox
	rows   [modelMessages]modelRow

	mu   sync.Mutex
	plan map[string]ending // of what Run runs
}

// TestProperty compares rows and effects with the model after each event.
func TestProperty(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var n atomic.Int64
		rapid.Check(t, func(rt *rapid.T) {
			h := &history{g: g, prefix: fmt.Sprint(n.Add(1), "-")}
			for range 2 {
				cfg := g.config(h.handle)
				cfg.MaxTries = modelTries
				cfg.Backoff = inbox.Backoff{Min: time.Hour, Max: time.Hour}
				h.boxes = append(h.boxes, g.open(cfg))
			}
			events := map[string]func(*rapid.T){"deliver": h.deliver, "at once": h.atOnce, "try again": h.tryAgain, "replay": h.replay}
			names := []string{"deliver", "deliver", "at once", "try again", "try again", "replay"}
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 1, 10).Draw(rt, "events") {
				events[name](rt)
				h.check(rt)
			}
			g.exec("DELETE FROM inbox")
		})
	})
}

// endingKey is what a delivery's context tells the handler.
type endingKey struct{}

func (h *history) handle(ctx context.Context, msg *message.Message) (inbox.Work, error) {
	e, ok := ctx.Value(endingKey{}).(ending)
	if !ok {
		h.mu.Lock()
		e = h.plan[msg.UUID]
		h.mu.Unlock()
	}
	return func(ctx context.Context, tx *inbox.Tx) error {
		if err := effect(msg.UUID)(ctx, tx); err != nil {
			return err
		}
		switch e {
		case succeeds:
			return nil
		case panics:
			panic("as planned")
		case permanent:
			return messaging.Permanent(errors.New("permanent"))
		case unavailable:
			return messaging.Unavailable(errors.New("unavailable"))
		}
		return errors.New("failure")
	}, nil
}

func (h *history) id(n int) string { return fmt.Sprint(h.prefix, n) }

func (h *history) send(box, n int, e ending) error {
	msg := newMessage(h.id(n))
	msg.SetContext(context.WithValue(context.Background(), endingKey{}, e))
	return h.boxes[box].Handle(msg)
}

func drawMessage(rt *rapid.T) int { return rapid.IntRange(0, modelMessages-1).Draw(rt, "message") }

func drawEnding(rt *rapid.T) ending {
	return rapid.SampledFrom([]ending{succeeds, fails, panics, permanent, unavailable}).Draw(rt, "ending")
}

func (h *history) deliver(rt *rapid.T) {
	n, e := drawMessage(rt), drawEnding(rt)
	require.NoError(rt, h.send(rapid.IntRange(0, 1).Draw(rt, "process"), n, e))
	if h.rows[n] == (modelRow{}) {
		h.rows[n] = modelRow{}.run(e)
	}
}

// atOnce delivers one message several times at once: one of the runs counts.
func (h *history) atOnce(rt *rapid.T) {
	n := drawMessage(rt)
	endings := rapid.SliceOfN(rapid.Custom(drawEnding), 2, 4).Draw(rt, "endings")
	errs := make([]error, len(endings))
	var wg sync.WaitGroup
	for k, e := range endings {
		wg.Go(func() { errs[k] = h.send(k%2, n, e) })
	}
	wg.Wait()
	require.NoError(rt, errors.Join(errs...))
	if h.rows[n] != (modelRow{}) {
		return
	}
	got := h.row(n)
	require.True(rt, slices.ContainsFunc(endings, func(e ending) bool { return got == modelRow{}.run(e) }), "%v: %+v", endings, got)
	h.rows[n] = got
}

// tryAgain has everything that is parked run once.
func (h *history) tryAgain(rt *rapid.T) {
	plan := make(map[string]ending)
	for n, r := range h.rows {
		if r.state == inbox.Parked {
			plan[h.id(n)] = drawEnding(rt)
			h.rows[n] = r.run(plan[h.id(n)])
		}
	}
	h.mu.Lock()
	h.plan = plan
	h.mu.Unlock()
	h.g.elapse(inbox.Parked)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, b := range h.boxes {
		wg.Go(func() { b.Run(ctx) })
	}
	defer wg.Wait()
	defer stop()
	for n, want := range h.rows {
		eventually(h.g.t, fmt.Sprintf("%s to be %+v", h.id(n), want), func() bool {
			row := h.g.row(h.id(n))
			return !row.Claimed && row.State == want.state && row.Tries == want.tries && row.Excused == want.excused
		})
	}
}

func (h *history) replay(rt *rapid.T) {
	n := drawMessage(rt)
	changed, err := inbox.Replay(context.Background(), h.g.db, h.g.kind.dialect(), "test", h.id(n))
	require.NoError(rt, err)
	want := 0
	if h.rows[n].state > inbox.Done {
		want, h.rows[n] = 1, modelRow{state: inbox.Parked}
	}
	require.Equal(rt, want, changed)
}

func (h *history) row(n int) modelRow {
	row := h.g.row(h.id(n))
	return modelRow{row.State, row.Tries, row.Excused}
}

func (h *history) check(rt *rapid.T) {
	for n, want := range h.rows {
		require.Equal(rt, want, h.row(n), h.id(n))
		effects := 0
		if want.state == inbox.Done {
			effects = 1
		}
		require.Equal(rt, effects, h.g.effects(h.id(n)), h.id(n))
	}
}
