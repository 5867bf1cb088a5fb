package barriertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Killed has the database's server killed again and again while crowdSize
// callers deliver whole branches, and compares after each restart what they
// were answered with what the database holds: nothing that was said to be done
// is missing, and no row is without its business or has it twice. Then what is
// unknown is delivered again, as a coordinator would.
//
// kill ends the server, of which h.Open gives the database, as SIGKILL does,
// and restart starts it again on its data.
func Killed(t *testing.T, h Harness, times int, kill, restart func()) {
	w := openGround(t, h).world(t, queued)
	k := &killing{w: w, hot: w.item(t, account, "hot", 1_000_000), own: w.items(stock, crowdSize, 1_000_000)}
	for n := range times {
		k.round(n, kill, restart)
	}
	w.finish()
}

// killing is a world whose server is killed.
type killing struct {
	w   *world
	hot item
	own []item
}

// life is a branch with what is known of it.
type life struct {
	b   *branch
	end tcc.Phase
	// known is the state that the answers tell. If doubt is set, the delivery
	// of that phase was not answered: it may have taken effect.
	known barrier.State
	doubt tcc.Phase
}

// round has the callers work until the server was killed, restarts it and
// looks.
func (k *killing) round(n int, kill, restart func()) {
	k.w.t.Helper()
	var answered atomic.Int64
	lives := make([][]*life, crowdSize)
	callers := begin(func() answer {
		for _, a := range atOnce(crowdSize, func(i int) answer { return k.caller(i, &answered, &lives[i]) }) {
			if a.err != nil {
				return a
			}
		}
		return answer{}
	})
	moment := rand.Int64N(1500) // any moment will do
	k.w.eventually("the callers to be at work", func() bool { return answered.Load() >= moment || callers.returned() })
	kill()
	killed := answered.Load()
	require.NoError(k.w.t, callers.wait(k.w.t).err)
	restart()
	all := slices.Concat(lives...)
	k.verify(all)
	k.settle(all)
	k.w.t.Logf("killed the %d. time after %d answers, of %d branches", n+1, killed, len(all))
}

// caller delivers branches one after another until an answer stays away.
func (k *killing) caller(i int, answered *atomic.Int64, lives *[]*life) answer {
	for n := 0; ; n++ {
		l := &life{b: k.w.branch(queueingForms[n%2], line{k.own[i], 1}), end: tcc.Confirm}
		if n%3 == 0 {
			l.b.lines = append(l.b.lines, line{k.hot, 1})
		}
		if n%4 == 3 {
			l.end = tcc.Cancel
		}
		*lives = append(*lives, l)
		for _, p := range []tcc.Phase{tcc.Try, l.end} {
			switch a := k.w.deliver(l.b, p); a.verdict() {
			case done, duplicate: // a duplicate of its own, whose answer was lost
				l.known = after(l.known, p)
				answered.Add(1)
			case unavailable:
				l.doubt = p
				return answer{}
			default:
				return answer{err: fmt.Errorf("%s of %s: %s: %w", p, l.b, a.verdict(), a.err)}
			}
		}
	}
}

// verify compares the rows with what was answered, and the business with the
// rows.
func (k *killing) verify(lives []*life) {
	k.w.t.Helper()
	rows := k.w.states(k.w.t)
	for _, l := range lives {
		state := rows[branchKey{l.b.gid, l.b.id}]
		if l.doubt != 0 && state == after(l.known, l.doubt) {
			l.known = state
		}
		require.Equal(k.w.t, l.known.String(), state.String(), "the row of %s after the server was killed", l.b)
	}
	k.w.verify(k.w.t)
}

// settle finishes every branch, through a pool whose connections are gone.
func (k *killing) settle(lives []*life) {
	k.w.t.Helper()
	for _, l := range lives {
		for _, p := range []tcc.Phase{tcc.Try, l.end} {
			if l.known == after(barrier.Tried, l.end) {
				break
			}
			want := expected(l.known, p)
			k.w.want(want, k.w.settle(l.b, p))
			l.known = after(l.known, p)
		}
	}
}
