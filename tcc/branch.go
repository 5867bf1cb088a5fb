package tcc

import (
	"context"
	"errors"
	"fmt"
)

// The longest identifiers that are accepted, in bytes. They are the widths of
// DTM's own columns (trans_global.gid, trans_branch_op.branch_id), so that
// what passes here cannot be cut off there.
const (
	MaxGIDLen      = 128
	MaxBranchIDLen = 128
)

// Branch identifies one delivery: which participant's share of which global
// transaction, and in which phase.
type Branch struct {
	// GID is the global transaction's id.
	GID string
	// ID is the branch id, unique within the global transaction.
	ID string
	// Phase is the phase of this delivery.
	Phase Phase
	// Method is the full gRPC method that was called, with its leading
	// slash. It is kept with a Try, for repair without the coordinator.
	Method string
}

// ErrNoBranch is returned by code that needs a branch when the call came
// without one, that is, from somebody who is neither an initiator in a global
// transaction nor the coordinator.
var ErrNoBranch = errors.New("the call belongs to no global transaction: begin one with a coordinator and call as its branch")

// Validate reports what is wrong with the identity, nil if nothing is. Both
// ids must be 1 to 128 bytes of printable ASCII without spaces: they are keys
// in several databases and appear in URLs, logs and SQL consoles.
func (b Branch) Validate() error {
	if err := ValidateGID(b.GID); err != nil {
		return err
	}
	if err := validateID("branch id", b.ID, MaxBranchIDLen); err != nil {
		return err
	}
	if b.Phase < Try || b.Phase > Cancel {
		return fmt.Errorf("unknown phase %d", b.Phase)
	}
	return nil
}

// ValidateGID reports what is wrong with a global transaction's id, nil if
// nothing is. The rule is that of [Branch.Validate].
func ValidateGID(gid string) error { return validateID("gid", gid, MaxGIDLen) }

func validateID(what, s string, maxLen int) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(s) > maxLen {
		return fmt.Errorf("%s is %d bytes long, at most %d are allowed", what, len(s), maxLen)
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("%s has the byte 0x%02x at position %d: only printable ASCII without spaces is allowed", what, c, i)
		}
	}
	return nil
}

// String returns "gid/branch_id phase", for logs.
func (b Branch) String() string { return b.GID + "/" + b.ID + " " + b.Phase.String() }

type branchKey struct{}

// NewContext returns a context that carries b to [FromContext]. The server
// interceptor calls it; tests may too.
func NewContext(ctx context.Context, b Branch) context.Context {
	return context.WithValue(ctx, branchKey{}, &delivery{branch: b})
}

// FromContext returns the branch that the call belongs to, false if it
// belongs to none.
func FromContext(ctx context.Context) (Branch, bool) {
	d, ok := ctx.Value(branchKey{}).(*delivery)
	if !ok {
		return Branch{}, false
	}
	return d.branch, true
}
