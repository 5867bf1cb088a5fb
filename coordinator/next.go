package coordinator

import "github.com/tcckit/tcckit/tcc"

// NextCall returns the call that the coordinator makes next, and false if it
// makes none: the transaction is not decided, or all is done. It calls in
// reverse order of registration and stops at the first failure, so this is also
// the one that the others wait for.
func (i *Info) NextCall() (Call, bool) {
	var phase tcc.Phase
	switch i.Status {
	case Submitted:
		phase = tcc.Confirm
	case Aborting:
		phase = tcc.Cancel
	default:
		return Call{}, false
	}
	for n := len(i.Calls) - 1; n >= 0; n-- {
		if c := i.Calls[n]; c.Phase == phase && !c.Done {
			return c, true
		}
	}
	return Call{}, false
}
