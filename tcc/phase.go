package tcc

import "fmt"

// Phase is one of the three calls that a branch can receive. The zero value
// is no phase.
type Phase uint8

// The phases of a branch.
const (
	// Try reserves: it checks the business rules and sets aside what
	// Confirm will need, so that Confirm cannot fail for a business reason.
	Try Phase = iota + 1
	// Confirm makes the reservation final.
	Confirm
	// Cancel gives the reservation back.
	Cancel
)

// String returns the name that DTM uses on the wire: "try", "confirm" or
// "cancel".
func (p Phase) String() string {
	switch p {
	case Try:
		return "try"
	case Confirm:
		return "confirm"
	case Cancel:
		return "cancel"
	default:
		return fmt.Sprintf("phase(%d)", uint8(p))
	}
}

// ParsePhase is the inverse of [Phase.String]. It reports false for anything
// but "try", "confirm" and "cancel".
func ParsePhase(s string) (Phase, bool) {
	for _, p := range [...]Phase{Try, Confirm, Cancel} {
		if s == p.String() {
			return p, true
		}
	}
	return 0, false
}
