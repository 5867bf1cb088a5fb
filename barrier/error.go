package barrier

import (
	"fmt"

	"github.com/tcckit/tcckit/tcc"
)

// LateTryError says that a Try arrived after its branch was cancelled. It
// unwraps to a *tcc.Rejection with tcc.ReasonLateTry: whoever sent the Try must
// not count on it.
type LateTryError struct{ Branch tcc.Branch }

func (e *LateTryError) Error() string {
	return fmt.Sprintf("late try: branch %s of %s is cancelled already", e.Branch.ID, e.Branch.GID)
}

// Unwrap returns the rejection that goes to the caller.
func (e *LateTryError) Unwrap() error {
	return &tcc.Rejection{Reason: tcc.ReasonLateTry, Message: "the branch was cancelled before this try arrived"}
}
