package barriertest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func crowdCallers() []testCase {
	return []testCase{
		{name: "GoneBefore", run: crowdCallerGoneBefore},
		{name: "GoesWhileQueued", run: crowdCallerGoesWhileQueued},
		{name: "GoesWhenTheBatchHasBegun", needs: rowLocks, run: crowdCallerGoesInBatch},
		{name: "AllGo", needs: rowLocks, run: crowdAllGo},
	}
}

// leavers are branches, ready for each phase in turns, whose callers have a
// context of their own.
func (w *world) leavers(n int, ctx context.Context) []member { //nolint:revive // the context is the members', not the function's
	w.t.Helper()
	var all []member
	var before []*branch
	for i, it := range w.items(account, n, 5) {
		m := member{b: w.branch(queueingForms[i%2], line{it, 1}), p: allPhases[i%len(allPhases)], ctx: ctx}
		if m.p != tcc.Try {
			before = append(before, m.b)
		}
		all = append(all, m)
	}
	w.tried(before...)
	return all
}

func crowdCallerGoneBefore(w *world) {
	gone, cancel := context.WithCancel(w.ctx)
	cancel()
	late, cancelLate := context.WithDeadline(w.ctx, time.Now().Add(-time.Second))
	defer cancelLate()
	leaving := append(w.leavers(6, gone), w.leavers(6, late)...)
	for i := range leaving {
		leaving[i].want = cancelled
		if leaving[i].ctx == late {
			leaving[i].want = deadline
		}
	}
	w.together(w.among(leaving...))
	for _, m := range leaving {
		w.wantState(beforePhase(m.p), m.b)
		w.want(done, w.deliver(m.b, m.p))
	}
}

// left checks a member whose caller went away: it was answered so, or it was
// done before. What the row says, the business has done, and who asks again
// learns it. A batch may still be about to carry it out.
func (w *world) left(m member, a answer) {
	w.t.Helper()
	before, next := beforePhase(m.p), after(beforePhase(m.p), m.p)
	v := a.verdict()
	require.Contains(w.t, []verdict{done, cancelled, deadline}, v, "%s of %s: %v", m.p, m.b, a.err)
	state := w.state(w.t, m.b)
	if v == done {
		require.Equal(w.t, next.String(), state.String())
	}
	require.Contains(w.t, []barrier.State{before, next}, state)
	again := w.settle(m.b, m.p)
	if state == next {
		w.want(duplicate, again)
	}
	require.Contains(w.t, []verdict{done, duplicate}, again.verdict(), "%s of %s, again: %v", m.p, m.b, again.err)
	w.wantState(next, m.b)
}

// crowdCallerGoesWhileQueued: who gives up is answered at once, while the
// store is still busy, and the others are not harmed.
func crowdCallerGoesWhileQueued(w *world) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	end, cancelEnd := context.WithTimeout(w.ctx, 300*time.Millisecond)
	defer cancelEnd()
	leaving := append(w.leavers(9, ctx), w.leavers(9, end)...)
	all := w.among(leaving...)
	c := w.gather(all)
	cancel()
	w.eventuallyReturned(c, func(m member) bool { return m.ctx != nil })
	require.False(w.t, c.first.returned() && !w.dialect.rowLocks(), "the first was answered while its row was held")
	c.release()
	answers := c.answers()
	w.quiet()
	for i, m := range all {
		if m.ctx != nil {
			w.left(m, answers[i])
		}
	}
}

// eventuallyReturned waits until those members are answered that which picks.
func (w *world) eventuallyReturned(c *crowd, which func(m member) bool) {
	w.t.Helper()
	w.eventually("some of the crowd to be answered", func() bool {
		for i, m := range c.members {
			if which(m) && !c.calls[i].returned() {
				return false
			}
		}
		return true
	})
}

// crowdCallerGoesInBatch: a caller goes away when its branch may be in a
// transaction already that waits for somebody's row.
func crowdCallerGoesInBatch(w *world) {
	it := w.item(w.t, stock, "held", 10)
	slow := w.branch(queued, line{it, 1})
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	all := w.among(append(w.leavers(9, ctx), member{b: slow, p: tcc.Try, want: done})...)
	h := w.hold(it)
	c := w.gather(all)
	c.release()
	w.awaitLockWaits(1)
	cancel()
	w.eventuallyReturned(c, func(m member) bool { return m.ctx != nil })
	require.False(w.t, c.calls[indexOf(all, slow)].returned(), "answered while its row was held")
	h.release()
	answers := c.answers()
	w.quiet()
	for i, m := range all {
		if m.ctx != nil {
			w.left(m, answers[i])
		}
	}
}

func indexOf(members []member, b *branch) int {
	for i, m := range members {
		if m.b == b {
			return i
		}
	}
	return -1
}

// crowdAllGo: nobody is left to hear the answers. The store is not harmed.
func crowdAllGo(w *world) {
	it := w.item(w.t, stock, "held", 10)
	slow := w.branch(queued, line{it, 1})
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	all := append(w.leavers(crowdSize, ctx), member{b: slow, p: tcc.Try, ctx: ctx})
	h := w.hold(it)
	c := w.gather(all)
	c.release()
	cancel()
	answers := c.answers()
	h.release()
	w.quiet()
	for i, m := range all {
		w.left(m, answers[i])
	}
	w.together(w.bystanders(crowdSize))
}
