package barriertest

import (
	"testing"

	"go.uber.org/goleak"
)

// testCase is one case of the suite.
type testCase struct {
	name string
	// forms are the forms of work in which the case runs, each with stores of
	// its own. Empty means once, in whatever forms the case chooses.
	forms []form
	needs need
	run   func(w *world)
}

// need says what a case cannot do without. A database that has not got it has
// no such fault either: one without row locks cannot deadlock on them.
type need uint8

const (
	rowLocks need = 1 << iota
	network
)

// family is a group of cases.
type family struct {
	name  string
	cases []testCase
}

func families() []family {
	return []family{
		{"StateTable", stateTable()},
		{"Duplicates", duplicates()},
		{"Keys", keys()},
		{"Stored", stored()},
		{"Handlers", handlers()},
		{"Rejections", rejections()},
		{"Guards", guards()},
		{"Queue", queue()},
		{"WorkErrors", workErrors()},
		{"Escapes", escapes()},
		{"Lifetime", lifetime()},
		{"AfterCommit", afterCommit()},
		{"Waiting", waiting()},
		{"Timeouts", timeouts()},
		{"Deadlocks", deadlocks()},
		{"Races", races()},
		{"CrowdGuards", crowdGuards()},
		{"CrowdStates", crowdStates()},
		{"CrowdCallers", crowdCallers()},
		{"CrowdRows", crowdRows()},
		{"Connections", connections()},
		{"Network", networkCuts()},
		{"Sweep", sweep()},
		{"Stuck", stuck()},
	}
}

// Run runs every case against the stores that h opens, each as a subtest with
// a database of its own.
func Run(t *testing.T, h Harness) {
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			for _, c := range f.cases {
				if c.needs != 0 && h.Dialect == SQLite {
					continue // a file has one writer, and no network
				}
				t.Run(c.name, func(t *testing.T) { runForms(t, h, c) })
			}
		})
	}
}

func runForms(t *testing.T, h Harness, c testCase) {
	g := ground(t, h)
	if c.needs&network != 0 && g.database.Proxied == nil {
		t.Skip("the harness has no Proxied: what a cut network does to this store stays unknown")
	}
	if len(c.forms) == 0 {
		runCase(t, g, c, queued)
		return
	}
	for _, f := range c.forms {
		t.Run(string(f), func(t *testing.T) { runCase(t, g, c, f) })
	}
}

func runCase(t *testing.T, g *grounds, c testCase, f form) {
	w := g.world(t, f)
	c.run(w)
	w.finish()
}

// noLeaks fails the test if goroutines that it started outlive everything
// that its clean-up ends.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}
