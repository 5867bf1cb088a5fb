package barriertest

import (
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
	try0, cancel0, try1 := delivery{0, tcc.Try}, delivery{0, tcc.Cancel}, delivery{1, tcc.Try}
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
	left := last().explain([]delivery{{0, tcc.Try}, {0, tcc.Cancel}, {1, tcc.Try}}, answersOf(done, done, done))
	require.Len(t, left, 1)
	require.Equal(t, []barrier.State{barrier.Cancelled, barrier.Tried}, left[0].states[:2])
	require.Equal(t, int64(0), left[0].available[0])

	left = last().explain([]delivery{{0, tcc.Try}, {1, tcc.Try}}, answersOf(rejected, done))
	require.Len(t, left, 1)
	require.Equal(t, []barrier.State{barrier.Rejected, barrier.Tried}, left[0].states[:2])
}
