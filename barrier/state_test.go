package barrier_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// TestDecide is the table of docs/guarantees.md, line by line.
func TestDecide(t *testing.T) {
	type cell struct {
		action barrier.Action
		next   barrier.State
	}
	same := func(a barrier.Action, s barrier.State) cell { return cell{a, s} }
	for _, row := range []struct {
		state                barrier.State
		try, confirm, cancel cell
	}{
		{barrier.None, cell{barrier.Run, barrier.Tried}, same(barrier.RefuseConflict, barrier.None), cell{barrier.Remember, barrier.EmptyCancelled}},
		{barrier.Tried, same(barrier.Replay, barrier.Tried), cell{barrier.Run, barrier.Confirmed}, cell{barrier.Run, barrier.Cancelled}},
		{barrier.Confirmed, same(barrier.Replay, barrier.Confirmed), same(barrier.Replay, barrier.Confirmed), same(barrier.RefuseConflict, barrier.Confirmed)},
		{barrier.Cancelled, same(barrier.RefuseLate, barrier.Cancelled), same(barrier.RefuseConflict, barrier.Cancelled), same(barrier.Replay, barrier.Cancelled)},
		{barrier.EmptyCancelled, same(barrier.RefuseLate, barrier.EmptyCancelled), same(barrier.RefuseConflict, barrier.EmptyCancelled), same(barrier.Replay, barrier.EmptyCancelled)},
		{barrier.Rejected, same(barrier.RefuseAgain, barrier.Rejected), same(barrier.RefuseConflict, barrier.Rejected), same(barrier.Replay, barrier.Rejected)},
	} {
		for phase, want := range map[tcc.Phase]cell{tcc.Try: row.try, tcc.Confirm: row.confirm, tcc.Cancel: row.cancel} {
			action, next := barrier.Decide(row.state, phase)
			require.Equal(t, want, cell{action, next}, "%s arrives at %s", phase, row.state)
		}
	}
}

// TestTerminalStatesStay: nothing that can arrive changes a terminal row.
func TestTerminalStatesStay(t *testing.T) {
	for s := barrier.None; s <= barrier.Rejected+3; s++ {
		for p := tcc.Phase(0); p <= tcc.Cancel+1; p++ {
			action, next := barrier.Decide(s, p)
			if s.Terminal() {
				require.Equal(t, s, next, "%s arrives at %s", p, s)
				require.NotEqual(t, barrier.Run, action, "%s arrives at %s", p, s)
			}
		}
	}
}
