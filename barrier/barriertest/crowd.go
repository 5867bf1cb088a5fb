package barriertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// crowdSize is how many deliveries a crowd has.
const crowdSize = 64

// member is one delivery of a crowd.
type member struct {
	b *branch
	p tcc.Phase
	// work is nil for the branch's usual work, ctx for the world's, store for
	// the world's.
	work  barrier.Work
	ctx   context.Context
	store barrier.Store
	// want is the verdict, or empty if the case judges the answer itself.
	want verdict
}

// crowd is deliveries that a store was given while it was busy with another
// one: a store that runs several branches in one transaction takes them
// together when that other one is let go.
type crowd struct {
	w       *world
	members []member
	calls   []*call
	first   *call   // the delivery that the store was busy with
	held    *holder // what that one waits for
}

// gather makes a crowd. Nothing that a store may only do in a common
// transaction has been done when it returns, but every work function was
// called.
func (w *world) gather(members []member) *crowd {
	w.t.Helper()
	it := w.item(w.t, account, "first"+w.newID(), 1)
	b := w.branch(queued, line{it, 1})
	c := &crowd{w: w, members: members, held: w.hold(it)}
	c.first = begin(func() answer { return w.deliver(b, tcc.Try) })
	w.eventually("the store to be busy with the first delivery", func() bool { return b.ran(tcc.Try) > 0 })
	if w.dialect.rowLocks() {
		w.awaitLockWaits(1)
	}
	called := make([]atomic.Bool, len(members))
	for i, m := range members {
		c.calls = append(c.calls, begin(func() answer { return w.send(m, &called[i]) }))
	}
	w.eventually("the crowd to have queued", func() bool {
		for i := range members {
			if !called[i].Load() && !c.calls[i].returned() {
				return false
			}
		}
		return true
	})
	return c
}

// send delivers a member, and notes that its work has queued what it queues,
// or has begun if it holds a transaction.
func (w *world) send(m member, called *atomic.Bool) answer {
	work, ctx, store := m.work, m.ctx, m.store
	if work == nil {
		work = m.b.work(m.p)
	}
	if ctx == nil {
		ctx = w.ctx
	}
	if store == nil {
		store = w.Store
	}
	return recovered(func() answer {
		return m.b.deliverWork(ctx, store, m.p, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			if !slices.Contains(queueingForms, m.b.form) {
				called.Store(true)
			}
			defer called.Store(true)
			return work(ctx, tx)
		})
	})
}

// release lets the store go on.
func (c *crowd) release() {
	c.w.t.Helper()
	c.held.release()
	c.w.want(done, c.first.wait(c.w.t))
}

// answers waits for all of them, and checks them.
func (c *crowd) answers() []answer {
	c.w.t.Helper()
	answers := make([]answer, len(c.calls))
	for i, call := range c.calls {
		answers[i] = call.wait(c.w.t)
	}
	for i, m := range c.members {
		if m.want == "" {
			continue
		}
		a := answers[i]
		require.Equal(c.w.t, string(m.want), string(a.verdict()), "member %d, %s of %s in the form %s: %v", i, m.p, m.b, m.b.form, a.err)
		c.w.wantContent(m, a)
	}
	return answers
}

// wantContent checks that an answer is that of the member's own branch.
func (w *world) wantContent(m member, a answer) {
	w.t.Helper()
	switch {
	case m.p == tcc.Try && a.err == nil:
		require.Equal(w.t, string(m.b.response), string(a.res.Response), "the response of %s", m.b)
	case m.want == rejected && m.work == nil:
		short := slices.IndexFunc(m.b.lines, func(l line) bool { return l.qty > w.funds[l.item] })
		if short < 0 {
			return // it was rejected before, for another quantity
		}
		it := m.b.lines[short].item
		r := a.rejection(w.t)
		require.Equal(w.t, reasonInsufficient, r.Reason)
		require.Equal(w.t, map[string]string{"item": it.String(), "left": strconv.FormatInt(w.funds[it], 10)}, r.Metadata, "the rejection of %s", m.b)
	}
}

// together delivers members as a crowd and returns their answers.
func (w *world) together(members []member) []answer {
	w.t.Helper()
	c := w.gather(members)
	c.release()
	return c.answers()
}

// again delivers each member once more, one after another, with its usual
// work, and checks that the answer is that of a settled branch.
func (w *world) again(members []member) {
	w.t.Helper()
	rows := w.states(w.t)
	for _, m := range members {
		v := expected(rows[branchKey{m.b.gid, m.b.id}], m.p)
		a := w.deliver(m.b, m.p)
		w.want(v, a)
		m.want = v
		w.wantContent(m, a)
	}
}

// items makes n items with qty, qty+1, ... available, so that each can be told
// from the others by what is left of it.
func (w *world) items(k kind, n int, qty int64) []item {
	w.t.Helper()
	list, funds := make([]item, n), make(map[item]int64, n)
	for i := range list {
		list[i] = item{k, w.prefix + "i" + w.newID()}
		funds[list[i]] = qty + int64(i)
	}
	w.rows(w.t, funds)
	return list
}

// bystanders are Trys with nothing special about them, n in all, each with an
// item of its own, in the forms in which a branch only queues.
func (w *world) bystanders(n int) []member {
	w.t.Helper()
	var all []member
	for i, it := range w.items(account, n, 5) {
		all = append(all, member{b: w.branch(queueingForms[i%len(queueingForms)], line{it, 1}), p: tcc.Try, want: done})
	}
	return all
}

// queueingForms need no transaction of their own.
var queueingForms = []form{queued, alone}

// among puts members into a crowd of bystanders, evenly.
func (w *world) among(special ...member) []member {
	w.t.Helper()
	all := w.bystanders(max(crowdSize-len(special), 1))
	for i, m := range special {
		all = slices.Insert(all, i*len(all)/len(special), m)
	}
	return all
}

// tried delivers the Trys of branches, many at once.
func (w *world) tried(branches ...*branch) {
	w.t.Helper()
	answers := atOnce(len(branches), func(i int) answer { return w.deliver(branches[i], tcc.Try) })
	require.Equal(w.t, len(branches), tally(answers)[done], failures(answers))
}

// recovered turns a panic into an error.
func recovered(f func() answer) (a answer) {
	defer func() {
		if v := recover(); v != nil {
			a = answer{err: panicked{v}}
		}
	}()
	return f()
}

// panicked is what became of a delivery that panicked.
type panicked struct{ value any }

func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }
