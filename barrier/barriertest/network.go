package barriertest

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func networkCuts() []testCase {
	return []testCase{
		{name: "BeforeCommit", needs: network, forms: allForms, run: func(w *world) { cutAtCommit(w, Proxy.CutBeforeCommit) }},
		{name: "AfterCommit", needs: network, forms: allForms, run: func(w *world) { cutAtCommit(w, Proxy.CutAfterCommit) }},
		{name: "RejectionBeforeCommit", needs: network, forms: allForms, run: func(w *world) { cutAtRejection(w, Proxy.CutBeforeCommit) }},
		{name: "RejectionAfterCommit", needs: network, forms: allForms, run: func(w *world) { cutAtRejection(w, Proxy.CutAfterCommit) }},
		{name: "EveryCommit", needs: network, forms: mainForms, run: cutAtEveryCommit},
		{name: "Away", needs: network, forms: mainForms, run: cutAway},
	}
}

// cutAtCommit: the caller's store may find out what became of its COMMIT or
// say that it does not know; who asks again, in another process too, gets the
// right answer, and the business has happened once.
func cutAtCommit(w *world, cut func(Proxy) Point) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		b := w.ready(it, p)
		in, proxy := w.proxied()
		point := cut(proxy)
		a := b.deliver(w.ctx, in.Store, p)
		w.awaitCut(point)
		w.wantOnce(b, p, a)
		again := w.settle(b, p)
		w.wantOnce(b, p, again)
		if a.err == nil {
			w.want(duplicate, again)
		}
		w.wantState(after(beforePhase(p), p), b)
	}
	// An empty cancel commits too.
	b := w.debit(it, 1)
	in, proxy := w.proxied()
	_ = cut(proxy) // a store may send it as one statement, without a COMMIT
	require.Contains(w.t, []verdict{emptyCancel, duplicate, unavailable}, b.deliver(w.ctx, in.Store, tcc.Cancel).verdict())
	require.Contains(w.t, []verdict{emptyCancel, duplicate}, w.settle(b, tcc.Cancel).verdict())
	w.wantState(barrier.EmptyCancelled, b)
}

// awaitCut fails the case unless the network was cut where it was to be.
func (w *world) awaitCut(p Point) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	require.NoError(w.t, p.Wait(ctx), "no COMMIT came by")
}

// wantOnce accepts the answers to a delivery whose COMMIT was cut.
func (w *world) wantOnce(b *branch, p tcc.Phase, a answer) {
	w.t.Helper()
	require.Contains(w.t, []verdict{done, duplicate, unavailable}, a.verdict(), "%v", a.err)
	if p == tcc.Try && a.err == nil {
		require.Equal(w.t, b.response, a.res.Response)
	}
}

// cutAtRejection: a rejection is told only if it is committed.
func cutAtRejection(w *world, cut func(Proxy) Point) {
	it := w.item(w.t, account, "a", 5)
	in, proxy := w.proxied()
	b := w.debit(it, 6)
	point := cut(proxy)
	first := b.deliver(w.ctx, in.Store, tcc.Try)
	w.awaitCut(point)
	require.Contains(w.t, []verdict{rejected, unavailable}, first.verdict(), "%v", first.err)
	if first.verdict() == rejected {
		w.wantState(barrier.Rejected, b)
		w.refill(w.t, it, 100) // it was told, so it stays
	}
	again := w.settle(b, tcc.Try)
	w.want(rejected, again)
	if first.verdict() == rejected {
		require.Equal(w.t, first.rejection(w.t), again.rejection(w.t))
	}
	w.want(duplicate, w.deliver(b, tcc.Cancel))
}

// cutAtEveryCommit: a store that never gets through says so after a bound.
func cutAtEveryCommit(w *world) {
	it := w.item(w.t, account, "a", 1000)
	in, proxy := w.proxied()
	for range 200 {
		proxy.CutBeforeCommit()
	}
	for _, p := range allPhases {
		b := w.ready(it, p)
		w.want(unavailable, b.deliver(w.ctx, in.Store, p))
		w.wantState(beforePhase(p), b)
		w.want(done, w.deliver(b, p))
	}
}

// cutAway: a database that cannot be reached is no answer of the business.
func cutAway(w *world) {
	it := w.item(w.t, account, "a", 1000)
	in, proxy := w.proxied()
	for _, p := range allPhases {
		b := w.ready(it, p)
		proxy.Refuse()
		w.want(unavailable, b.deliver(w.ctx, in.Store, p))
		w.wantState(beforePhase(p), b)
		proxy.Accept()
		a := b.deliver(w.ctx, in.Store, p)
		for range 20 {
			if a.verdict() != unavailable {
				break
			}
			a = b.deliver(w.ctx, in.Store, p)
		}
		w.want(done, a)
	}
}
