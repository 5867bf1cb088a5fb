package observe

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Check reports why a part of the process cannot work now, nil if it can.
type Check func(context.Context) error

// checkTimeout bounds one answer.
const checkTimeout = 2 * time.Second

// errDraining says that the process ends.
var errDraining = errors.New("draining")

// Readiness tells whether the process takes work: it does while all checks hold and it does not drain. It is safe
// for concurrent use.
type Readiness struct {
	checks   map[string]Check
	draining atomic.Bool
}

// NewReadiness returns the readiness of a process that takes work when all checks hold, by name.
func NewReadiness(checks map[string]Check) *Readiness { return &Readiness{checks: checks} }

// Drain says that no more work is taken, so that balancers look elsewhere.
func (r *Readiness) Drain() { r.draining.Store(true) }

// Ready returns why the process takes no work, nil if it does. It waits 2 seconds at most.
func (r *Readiness) Ready(ctx context.Context) error {
	if r.draining.Load() {
		return errDraining
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for name, check := range r.checks {
		if err := check(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
