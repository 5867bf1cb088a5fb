package barrier

import (
	"cmp"
	"slices"
	"time"
)

const (
	// fullEvery is how many passes of Run there are to one that reads the
	// whole table.
	fullEvery = 12
	// maxKnown is how many stuck rows are remembered between passes; if there
	// are more, each pass reads the whole table.
	maxKnown = 10_000
	// tryDelay is how long after its transaction's begin a Try usually comes,
	// at most.
	tryDelay = 10 * time.Minute
)

// window keeps the passes of one Run from reading the whole table each time,
// for nothing but the primary key leads to what is stuck. A full pass finds all;
// those in between look again at what it found, and read the rows whose gids say
// that they were too young for it. What they miss, gids of another kind and Trys
// that came late, is found by the next full pass.
type window struct {
	known    []Position
	lastFull time.Time
	// partial counts the passes since the last full one. It is fullEvery when
	// the next one is to be full.
	partial int
}

func newWindow() *window { return &window{partial: fullEvery} }

// begin returns after which position a pass reads, and what it looks up before.
func (w *window) begin(now time.Time, olderThan time.Duration) (from Position, known []Position) {
	if w.partial++; w.partial >= fullEvery || len(w.known) > maxKnown {
		w.lastFull, w.partial = now, 0
		return Position{}, nil
	}
	from = Position{GID: uuidPrefix(w.lastFull.Add(-olderThan - tryDelay))}
	for _, p := range w.known {
		if p.GID <= from.GID {
			known = append(known, p)
		}
	}
	return from, known
}

// end keeps what a pass left as it was. One that did not see everything is
// followed by a full one.
func (w *window) end(left []Position, complete bool) {
	if !complete {
		w.partial = fullEvery
		return
	}
	slices.SortFunc(left, func(a, b Position) int {
		return cmp.Or(cmp.Compare(a.GID, b.GID), cmp.Compare(a.BranchID, b.BranchID))
	})
	w.known = left
}
