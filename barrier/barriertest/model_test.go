package barriertest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// answers makes answers of verdicts.
func answersOf(verdicts ...verdict) []answer {
	var out []answer
	for _, v := range verdicts {
		switch v {
		case done:
			out = append(out, answer{res: barrier.Result{Outcome: tcc.Done}})
		case duplicate:
			out = append(out, answer{res: barrier.Result{Outcome: tcc.Duplicate}})
		case emptyCancel:
			out = append(out, answer{res: barrier.Result{Outcome: tcc.EmptyCancel}})
		case lateTry:
			out = append(out, answer{err: &barrier.LateTryError{}})
		case rejected:
			out = append(out, answer{err: tcc.Reject("NO", "", nil)})
		case unavailable:
			out = append(out, answer{err: tcc.Retry(errors.New("away"))})
		case conflict(barrier.None):
			out = append(out, answer{err: &tcc.ConflictError{State: barrier.None.String()}})
		case cancelled:
			out = append(out, answer{err: context.Canceled})
		default:
			out = append(out, answer{err: errors.New("a bug")})
		}
	}
	return out
}

func TestVerdictNamesWhatAnErrorIs(t *testing.T) {
	for _, v := range []verdict{done, duplicate, emptyCancel, lateTry, rejected, unavailable, internal, conflict(barrier.None)} {
		require.Equal(t, v, answersOf(v)[0].verdict())
	}
}

func TestVerdictMatchesNothingWhenAnErrorIsSeveralThings(t *testing.T) {
	require.Equal(t, verdict("rejected and unavailable"), answer{err: errors.Join(tcc.Reject("NO", "", nil), tcc.ErrUnavailable)}.verdict())
	require.Equal(t, verdict("no error, outcome "), answer{}.verdict())
}

// last is a model of two branches that both want the last unit.
func last() model {
	var m model
	m.condition.available[0] = 1
	m.lines[0], m.lines[1] = []modelLine{{qty: 1}}, []modelLine{{qty: 1}}
	return m
}

func TestExplainFindsTheOrder(t *testing.T) {
	try0, cancel0, try1 := delivery{phase: tcc.Try}, delivery{phase: tcc.Cancel}, delivery{branch: 1, phase: tcc.Try}
	for _, c := range []struct {
		deliveries []delivery
		answers    []verdict
		explained  bool
	}{
		{[]delivery{try0, try1}, []verdict{done, rejected}, true},
		{[]delivery{try0, try1}, []verdict{rejected, done}, true},
		{[]delivery{try0, try1}, []verdict{done, done}, false},
		{[]delivery{try0, try1}, []verdict{rejected, rejected}, false},
		{[]delivery{try0, cancel0}, []verdict{done, done}, true},
		{[]delivery{try0, cancel0}, []verdict{lateTry, emptyCancel}, true},
		{[]delivery{try0, cancel0}, []verdict{done, emptyCancel}, false},
		{[]delivery{try0, cancel0}, []verdict{lateTry, done}, false},
		{[]delivery{try0, cancel0, try1}, []verdict{done, done, done}, true},
		{[]delivery{try0, cancel0, try1}, []verdict{lateTry, emptyCancel, rejected}, false},
		{[]delivery{try0, try0}, []verdict{done, done}, false},
		{[]delivery{try0, try0}, []verdict{done, duplicate}, true},
		{[]delivery{try0, try0}, []verdict{done, unavailable}, false},
		{[]delivery{try0, try0}, []verdict{internal, done}, false},
	} {
		require.Equal(t, c.explained, len(last().explain(c.deliveries, answersOf(c.answers...))) > 0, "%v: %v", c.deliveries, c.answers)
	}
}

func TestExplainTellsWhatIsLeft(t *testing.T) {
	left := last().explain([]delivery{{phase: tcc.Try}, {phase: tcc.Cancel}, {branch: 1, phase: tcc.Try}}, answersOf(done, done, done))
	require.Len(t, left, 1)
	require.Equal(t, []barrier.State{barrier.Cancelled, barrier.Tried}, left[0].states[:2])
	require.Equal(t, int64(0), left[0].available[0])

	left = last().explain([]delivery{{phase: tcc.Try}, {branch: 1, phase: tcc.Try}}, answersOf(rejected, done))
	require.Len(t, left, 1)
	require.Equal(t, []barrier.State{barrier.Rejected, barrier.Tried}, left[0].states[:2])
}

func TestExplainAllowsForFlaws(t *testing.T) {
	bad, goneTry := delivery{phase: tcc.Try, flaw: violates}, delivery{phase: tcc.Try, flaw: gone}
	leaving, try, confirm := delivery{phase: tcc.Try, flaw: leaves}, delivery{phase: tcc.Try}, delivery{phase: tcc.Confirm}
	for _, c := range []struct {
		deliveries []delivery
		answers    []verdict
		explained  bool
	}{
		{[]delivery{bad}, []verdict{internal}, true},
		{[]delivery{bad}, []verdict{done}, false},
		{[]delivery{bad, try}, []verdict{duplicate, done}, true},
		{[]delivery{bad, try}, []verdict{internal, duplicate}, false},
		{[]delivery{goneTry, try}, []verdict{cancelled, done}, true},
		{[]delivery{goneTry, try}, []verdict{cancelled, duplicate}, false},
		{[]delivery{leaving, try}, []verdict{cancelled, done}, true},
		{[]delivery{leaving, try}, []verdict{cancelled, duplicate}, true},
		{[]delivery{leaving, confirm}, []verdict{cancelled, done}, true},
		{[]delivery{leaving, confirm}, []verdict{cancelled, duplicate}, false},
		{[]delivery{try}, []verdict{cancelled}, false},
	} {
		require.Equal(t, c.explained, len(last().explain(c.deliveries, answersOf(c.answers...))) > 0, "%v: %v", c.deliveries, c.answers)
	}
}
