package barriertest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Mixtures delivers random crowds: many branches at once, in all phases, with
// one to three statements, some of whose guards fail; of a branch one phase or
// several, through one process or two; some violate a constraint, and the
// callers of some have gone or go away. The answers to each branch must be
// explained by some order of its own deliveries, whatever the others do, and
// the database must agree with them.
func Mixtures(t *testing.T, h Harness) {
	w := ground(t, h).world(t, queued)
	stores := []barrier.Store{w.Store, w.replica().Store}
	hot := w.item(t, account, "hot", 100_000_000)
	var run, moved atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := newMixture(rt, w, fmt.Sprintf("m%06d-", run.Add(1)), hot)
		before := w.row(rt, hot).available
		for range rapid.IntRange(1, 3).Draw(rt, "waves") {
			m.wave(rt, stores)
		}
		m.books.verify(rt)
		n := m.hotMoves()
		require.Equal(rt, before+n, w.row(rt, hot).available, "available of the item that all move")
		moved.Add(n)
	})
	w.funds[hot] += moved.Load()
	w.finish()
}

// mixture is the branches of one run.
type mixture struct {
	w     *world
	books *books
	parts []*part
	hot   item
}

// part is one branch, with a model of it and of the items that are its own.
type part struct {
	b     *branch
	items []item
	model model
	// hot says that it also moves an item that all of them have in common,
	// of which there is plenty.
	hot bool
}

func newMixture(t *rapid.T, w *world, prefix string, hot item) *mixture {
	m := &mixture{w: w, books: newBooks(w.db, prefix, w.seq), hot: hot}
	funds := make(map[item]int64)
	for i := range rapid.IntRange(2, 20).Draw(t, "branches") {
		p := &part{hot: rapid.Bool().Draw(t, "hot")}
		var lines []line
		for range rapid.IntRange(0, maxItems).Draw(t, "items") {
			qty, available := rapid.Int64Range(1, 3).Draw(t, "qty"), rapid.Int64Range(0, 6).Draw(t, "available")
			p.model.lines[0] = append(p.model.lines[0], modelLine{item: len(p.items), qty: qty})
			p.model.condition.available[len(p.items)] = available
			it := item{[]kind{account, stock}[i%2], fmt.Sprintf("%s%d-%d", prefix, i, len(p.items))}
			p.items = append(p.items, it)
			funds[it] = available
			lines = append(lines, line{it, qty})
		}
		f := rapid.SampledFrom([]form{queued, queued, alone, alone, direct, mixed}).Draw(t, "form")
		p.b = newBranch(m.books, f, lines...)
		p.b.gid, p.b.id = fmt.Sprintf("%s%d", prefix, i/3), fmt.Sprintf("%02d", i%3)
		m.parts = append(m.parts, p)
		m.books.enter(p.b)
	}
	m.books.rows(t, funds)
	return m
}

// wave delivers some phases of each branch, all at once.
func (m *mixture) wave(t *rapid.T, stores []barrier.Store) {
	type one struct {
		part  int
		d     delivery
		store int
	}
	ds := make([][]delivery, len(m.parts))
	var all []one
	for i := range m.parts {
		for range rapid.SampledFrom([]int{0, 1, 1, 1, 2, 4}).Draw(t, "times") {
			d := delivery{
				phase: rapid.SampledFrom(allPhases).Draw(t, "phase"),
				flaw:  rapid.SampledFrom([]flaw{none, none, none, none, none, none, violates, gone, leaves}).Draw(t, "flaw"),
			}
			ds[i] = append(ds[i], d)
			all = append(all, one{i, d, rapid.IntRange(0, len(stores)-1).Draw(t, "store")})
		}
	}
	all = rapid.Permutation(all).Draw(t, "order")
	given := atOnce(len(all), func(i int) answer { return m.send(m.parts[all[i].part], all[i].d, stores[all[i].store]) })
	m.fence(stores)
	rows := m.books.states(t)
	for i, p := range m.parts {
		var own []delivery
		var answers []answer
		for j, o := range all {
			if o.part == i {
				own, answers = append(own, o.d), append(answers, given[j])
			}
		}
		p.judge(t, own, answers, rows[branchKey{p.b.gid, p.b.id}])
	}
}

// judge looks for an order of a branch's deliveries that explains its answers
// and its row.
func (p *part) judge(t *rapid.T, ds []delivery, answers []answer, state barrier.State) {
	left := p.model.explain(ds, answers)
	i := slices.IndexFunc(left, func(c condition) bool { return c.states[0] == state })
	require.GreaterOrEqual(t, i, 0, "no order of the deliveries explains what was seen of %s: deliveries %v, answers %v, state %s\n%s", p.b, ds, verdicts(answers), state, failures(answers))
	p.model.condition = left[i]
	for j, a := range answers {
		switch {
		case ds[j].phase == tcc.Try && a.err == nil:
			require.Equal(t, string(p.b.response), string(a.res.Response))
		case a.verdict() == rejected:
			of := a.rejection(t).Metadata["item"]
			require.True(t, slices.ContainsFunc(p.items, func(it item) bool { return it.String() == of }), "%s was rejected for %s", p.b, of)
		}
	}
}

// hotMoves is how often the common item was moved by what took effect.
func (m *mixture) hotMoves() (n int64) {
	for _, p := range m.parts {
		if p.hot {
			n += int64(len(took(p.model.condition.states[0])))
		}
	}
	return n
}

// fence returns when everything has come to its end that a store may still be
// doing for callers that have left: it does things in their order.
func (m *mixture) fence(stores []barrier.Store) {
	for _, s := range stores {
		wantVerdict(m.w.t, done, m.w.branch(alone).deliver(m.w.ctx, s, tcc.Try))
	}
	m.w.quiet()
}

func (m *mixture) send(p *part, d delivery, s barrier.Store) answer {
	ctx, cancel := context.WithCancel(m.w.ctx)
	defer cancel()
	if d.flaw == gone {
		cancel()
	}
	return p.b.deliverWork(ctx, s, d.phase, p.b.before(d.phase, func(_ context.Context, tx barrier.Tx) error {
		if d.flaw == violates {
			tx.Queue(barrier.Stmt{Query: "UPDATE account SET available = -1 WHERE id = ?", Args: []any{m.hot.id}, Key: m.hot.id, Rows: 1})
		}
		if p.hot {
			tx.Queue(barrier.Stmt{Query: "UPDATE account SET available = available + 1 WHERE id = ?", Args: []any{m.hot.id}, Key: m.hot.id, Rows: 1})
		}
		if d.flaw == leaves {
			go cancel()
		}
		return nil
	}))
}
