package main

import (
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/cmd/tcckit/internal/serve"
)

// housekeeping are the flags of serve for what it does beside serving.
type housekeeping struct{ sweep, retention, resolve, stuck days }

// defaultHousekeeping sweeps every hour: a barrier that nobody sweeps grows for ever, and one that is swept
// often has little to delete at a time.
func defaultHousekeeping() housekeeping {
	return housekeeping{
		sweep: days(barrier.DefaultSweepInterval), retention: days(barrier.DefaultRetention),
		resolve: days(barrier.DefaultResolveInterval), stuck: days(barrier.DefaultStuckAfter),
	}
}

func (h *housekeeping) register(flags *pflag.FlagSet) {
	flags.Var(&h.sweep, "sweep-interval", "time between two sweeps of the barrier, 0 for none")
	flags.Var(&h.retention, "retention", "how long ago a branch must have ended to be swept")
	flags.Var(&h.resolve, "resolve-interval", "time between two looks for branches that are stuck, which are then finished as the coordinator decided, 0 for none; services other than order only count them unless --dtm-http is given")
	flags.Var(&h.stuck, "stuck-after", "from what age a branch that is neither confirmed nor cancelled is stuck")
}

// of asks the coordinator only where somebody said where it is.
func (h *housekeeping) of(flags *pflag.FlagSet, services []string) serve.Housekeeping {
	return serve.Housekeeping{
		SweepInterval: h.sweep.duration(), Retention: h.retention.duration(),
		ResolveInterval: h.resolve.duration(), StuckAfter: max(h.stuck.duration(), time.Millisecond),
		AskCoordinator: slices.Contains(services, "order") || flags.Changed("dtm-http"),
	}
}
