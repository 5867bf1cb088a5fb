package barriertest

import (
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// The size of a model. Small, so that deliveries meet.
const (
	maxBranches = 5
	maxItems    = 2
)

// delivery is one phase of one of a model's branches.
type delivery struct {
	branch int
	phase  tcc.Phase
	flaw   flaw
}

// flaw is what is wrong with a delivery.
type flaw string

const (
	none flaw = ""
	// violates: the business violates a constraint.
	violates flaw = "violates a constraint"
	// gone: its caller has gone before it begins.
	gone flaw = "its caller has gone"
	// leaves: its caller goes while it runs.
	leaves flaw = "its caller leaves"
)

// model is what the barrier and the business ought to be: the state of each
// branch by barrier.Decide, and what is available of each item. It is small
// and copied by value.
type model struct {
	lines     [maxBranches][]modelLine
	condition condition
}

// condition is the part of a model that deliveries change.
type condition struct {
	states    [maxBranches]barrier.State
	available [maxItems]int64
}

type modelLine struct {
	item int
	qty  int64
}

// newModel is a model of one branch whose items never run out.
func newModel(b *branch) model {
	var m model
	for range b.lines {
		m.lines[0] = append(m.lines[0], modelLine{})
	}
	return m
}

// deliver returns what a delivery is answered and what it leaves.
func (m model) deliver(c condition, d delivery) (verdict, condition) {
	if d.flaw == gone {
		return cancelled, c
	}
	action, next := barrier.Decide(c.states[d.branch], d.phase)
	if action == barrier.Run && d.flaw == violates {
		return internal, c
	}
	if action != barrier.Run {
		v := expected(c.states[d.branch], d.phase)
		c.states[d.branch] = next
		return v, c
	}
	was := c
	for _, l := range m.lines[d.branch] {
		switch d.phase {
		case tcc.Try:
			if c.available[l.item] < l.qty {
				was.states[d.branch] = barrier.Rejected
				return rejected, was
			}
			c.available[l.item] -= l.qty
		case tcc.Cancel:
			c.available[l.item] += l.qty
		}
	}
	c.states[d.branch] = next
	return done, c
}

// explain returns the conditions that some order of deliveries made at once
// can leave, if that order gives the answers that were seen. None means that
// no order explains them.
func (m model) explain(ds []delivery, answers []answer) []condition {
	left := make(map[condition]bool)
	used := make([]bool, len(ds))
	var walk func(c condition, n int)
	walk = func(c condition, n int) {
		if n == len(ds) {
			left[c] = true
			return
		}
		for i, d := range ds {
			if used[i] {
				continue
			}
			v, next := m.deliver(c, d)
			seen := answers[i].verdict()
			used[i] = true
			switch {
			case v == seen:
				walk(next, n+1)
			case d.flaw == leaves && seen == cancelled:
				// It was taken out, or it was finished without its caller.
				walk(c, n+1)
				walk(next, n+1)
			}
			used[i] = false
		}
	}
	walk(m.condition, 0)
	out := make([]condition, 0, len(left))
	for c := range left {
		out = append(out, c)
	}
	return out
}
