package barriertest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Property delivers random phases of a few branches, one by one and several
// at once, in all forms of work and through two processes, and compares every
// answer, every barrier row and every business row with a model made of
// barrier.Decide and the sums of the business. Deliveries made at once must
// be explained by some order of them.
func Property(t *testing.T, h Harness) {
	w := ground(t, h).world(t, queued)
	other := w.replica()
	var run atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		r := newRun(rt, w, fmt.Sprintf("p%06d-", run.Add(1)), []barrier.Store{w.Store, other.Store})
		rt.Repeat(map[string]func(*rapid.T){
			"Deliver": r.deliver,
			"AtOnce":  r.deliverAtOnce,
			"Refill":  r.refill,
			"":        r.check,
		})
	})
	w.finish()
}

// run is one random history in its own part of the database.
type run struct {
	w       *world
	books   *books
	stores  []barrier.Store
	model   model
	items   []item
	list    []*branch
	answers [maxBranches]*tcc.Rejection
}

func newRun(t *rapid.T, w *world, prefix string, stores []barrier.Store) *run {
	r := &run{w: w, books: newBooks(w.db, prefix, w.seq), stores: stores}
	for i := range maxItems {
		qty := rapid.Int64Range(0, 8).Draw(t, "available")
		r.items = append(r.items, r.books.item(t, []kind{account, stock}[i%2], fmt.Sprint(i), qty))
		r.model.condition.available[i] = qty
	}
	for i := range maxBranches {
		var lines []line
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			l := modelLine{item: rapid.IntRange(0, maxItems-1).Draw(t, "item"), qty: rapid.Int64Range(1, 4).Draw(t, "qty")}
			r.model.lines[i] = append(r.model.lines[i], l)
			lines = append(lines, line{r.items[l.item], l.qty})
		}
		// A branch keeps its form, for its ledger is read by it. Its
		// branches share a global transaction, some of them.
		b := newBranch(r.books, rapid.SampledFrom(allForms).Draw(t, "form"), lines...)
		b.gid, b.id = fmt.Sprintf("%s%d", prefix, i/2), fmt.Sprintf("%02d", i%2)
		r.list = append(r.list, r.books.enter(b))
	}
	return r
}

func (r *run) draw(t *rapid.T) delivery {
	return delivery{
		branch: rapid.IntRange(0, maxBranches-1).Draw(t, "branch"),
		phase:  rapid.SampledFrom(allPhases).Draw(t, "phase"),
	}
}

func (r *run) send(d delivery, store int) answer {
	return r.list[d.branch].deliver(r.w.ctx, r.stores[store], d.phase)
}

func (r *run) deliver(t *rapid.T) {
	d := r.draw(t)
	a := r.send(d, rapid.IntRange(0, 1).Draw(t, "store"))
	v, next := r.model.deliver(r.model.condition, d)
	wantVerdict(t, v, a)
	r.model.condition = next
	r.remember(t, d, a)
}

func (r *run) deliverAtOnce(t *rapid.T) {
	ds := rapid.SliceOfN(rapid.Custom(r.draw), 2, 6).Draw(t, "deliveries")
	answers := atOnce(len(ds), func(i int) answer { return r.send(ds[i], i%2) })
	for i, d := range ds {
		r.remember(t, d, answers[i])
	}
	states := r.states(t)
	for _, c := range r.model.explain(ds, answers) {
		if c.states == states {
			r.model.condition = c
			return
		}
	}
	require.FailNow(t, "no order of the deliveries explains what was seen", "deliveries %v, answers %v, states %v\n%s", ds, verdicts(answers), states, failures(answers))
}

// remember compares what a duplicate gets with what the first one got.
func (r *run) remember(t *rapid.T, d delivery, a answer) {
	switch v := a.verdict(); {
	case v == rejected && r.answers[d.branch] == nil:
		r.answers[d.branch] = a.rejection(t)
	case v == rejected:
		require.Equal(t, r.answers[d.branch], a.rejection(t), "a rejection is sticky")
	case d.phase == tcc.Try && a.err == nil:
		require.Equal(t, r.list[d.branch].response, a.res.Response)
	}
}

func (r *run) refill(t *rapid.T) {
	i, qty := rapid.IntRange(0, maxItems-1).Draw(t, "item"), rapid.Int64Range(1, 5).Draw(t, "qty")
	r.books.refill(t, r.items[i], qty)
	r.model.condition.available[i] += qty
}

func (r *run) states(t *rapid.T) (out [maxBranches]barrier.State) {
	rows := r.books.states(t)
	for i, b := range r.list {
		out[i] = rows[branchKey{b.gid, b.id}]
	}
	return out
}

// check compares the database with the model.
func (r *run) check(t *rapid.T) {
	require.Equal(t, r.model.condition.states, r.states(t))
	for i, it := range r.items {
		require.Equal(t, r.model.condition.available[i], r.books.row(t, it).available, "available of %s", it)
	}
	r.books.verify(t)
}
