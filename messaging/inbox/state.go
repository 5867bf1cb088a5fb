package inbox

import "fmt"

// State says what became of a message. Its number is what the table holds.
type State uint8

// The states.
const (
	// Done: its work was committed.
	Done State = 1
	// Parked: it failed and is tried again.
	Parked State = 2
	// Dead: it was given up.
	Dead State = 3
)

// String returns the state's name in capitals.
func (s State) String() string {
	switch s {
	case Done:
		return "DONE"
	case Parked:
		return "PARKED"
	case Dead:
		return "DEAD"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// ParseState is the inverse of String.
func ParseState(name string) (State, error) {
	for s := Done; s <= Dead; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("inbox: state %q: want DONE, PARKED or DEAD", name)
}
