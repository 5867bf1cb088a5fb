package barrier

import (
	"fmt"

	"github.com/tcckit/tcckit/tcc"
)

// State is the state of a branch's barrier row. Its numbers are what the
// column holds; they never change.
type State uint8

// The states. None is the absence of a row and is never stored.
const (
	None           State = 0
	Tried          State = 1
	Confirmed      State = 2
	Cancelled      State = 3
	EmptyCancelled State = 4
	Rejected       State = 5
)

// String returns the state in the words of docs/guarantees.md.
func (s State) String() string {
	switch s {
	case None:
		return "NONE"
	case Tried:
		return "TRIED"
	case Confirmed:
		return "CONFIRMED"
	case Cancelled:
		return "CANCELLED"
	case EmptyCancelled:
		return "EMPTY_CANCELLED"
	case Rejected:
		return "REJECTED"
	default:
		return fmt.Sprintf("STATE_%d", uint8(s))
	}
}

// Terminal reports whether nothing can follow the state.
func (s State) Terminal() bool { return s != None && s != Tried }

// Action is what a store does with a delivery, given the state of its row.
type Action uint8

// The actions.
const (
	// Run the business and move to the state that [Decide] returns.
	Run Action = iota + 1
	// Remember the new state without running the business.
	Remember
	// Replay: the delivery took effect before; give the stored answer again.
	Replay
	// Refuse as a late try.
	RefuseLate
	// Refuse with the stored rejection.
	RefuseAgain
	// RefuseConflict: the delivery contradicts the state.
	RefuseConflict
)

// Decide is the state machine: what to do with a delivery in the given phase
// when the branch's row is in state s, and the state that the row has
// afterwards (s itself where nothing changes). A Try that is rejected by its
// business goes to Rejected instead of the returned Tried.
//
// Every store uses it, and so does the model that the stores are tested
// against.
func Decide(s State, phase tcc.Phase) (Action, State) {
	switch phase {
	case tcc.Try:
		switch s {
		case None:
			return Run, Tried
		case Tried, Confirmed:
			return Replay, s
		case Cancelled, EmptyCancelled:
			return RefuseLate, s
		case Rejected:
			return RefuseAgain, s
		}
	case tcc.Confirm:
		switch s {
		case Tried:
			return Run, Confirmed
		case Confirmed:
			return Replay, s
		}
	case tcc.Cancel:
		switch s {
		case None:
			return Remember, EmptyCancelled
		case Tried:
			return Run, Cancelled
		case Cancelled, EmptyCancelled, Rejected:
			return Replay, s
		}
	}
	return RefuseConflict, s
}
