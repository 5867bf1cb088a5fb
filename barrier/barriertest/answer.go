package barriertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// tb is what testing.T and rapid.T have in common, as far as it is needed.
type tb interface {
	require.TestingT
	Helper()
	Logf(format string, args ...any)
}

// answer is what a store answered to one delivery.
type answer struct {
	res barrier.Result
	err error
}

// verdict is an answer in one word.
type verdict string

const (
	done        verdict = "done"
	duplicate   verdict = "duplicate"
	emptyCancel verdict = "empty cancel"
	lateTry     verdict = "late try"
	rejected    verdict = "rejected"
	pending     verdict = "pending"
	unavailable verdict = "unavailable"
	invalid     verdict = "invalid"
	cancelled   verdict = "context cancelled"
	deadline    verdict = "context deadline"
	internal    verdict = "internal"
)

// conflict is the verdict of a ConflictError.
func conflict(s barrier.State) verdict { return verdict("conflict with " + s.String()) }

// verdict reads an answer as tcc's interceptor does. An error that is several
// things at once is named by all of them, so that no expectation matches it.
func (a answer) verdict() verdict {
	if a.err == nil {
		switch a.res.Outcome {
		case tcc.Done:
			return done
		case tcc.Duplicate:
			return duplicate
		case tcc.EmptyCancel:
			return emptyCancel
		}
		return verdict("no error, outcome " + string(a.res.Outcome))
	}
	var is []string
	add := func(v verdict) { is = append(is, string(v)) }
	var late *barrier.LateTryError
	var r *tcc.Rejection
	var c *tcc.ConflictError
	switch {
	case errors.As(a.err, &late):
		if !errors.As(a.err, &r) || r.Reason != tcc.ReasonLateTry {
			return "a late try that is not rejected as one"
		}
		add(lateTry)
	case errors.As(a.err, &r):
		add(rejected)
	}
	if errors.As(a.err, &c) {
		add(verdict("conflict with " + c.State))
	}
	for _, known := range []struct {
		err error
		v   verdict
	}{
		{tcc.ErrPending, pending},
		{tcc.ErrUnavailable, unavailable},
		{tcc.ErrInvalid, invalid},
		{context.Canceled, cancelled},
		{context.DeadlineExceeded, deadline},
	} {
		if errors.Is(a.err, known.err) {
			add(known.v)
		}
	}
	if len(is) == 0 {
		return internal
	}
	return verdict(strings.Join(is, " and "))
}

// rejection returns the rejection in the answer, which must be one.
func (a answer) rejection(t tb) *tcc.Rejection {
	t.Helper()
	var r *tcc.Rejection
	require.ErrorAs(t, a.err, &r)
	return r
}

func wantVerdict(t tb, v verdict, a answer) {
	t.Helper()
	require.Equal(t, string(v), string(a.verdict()), "the response was %.60q, the error: %v", a.res.Response, a.err)
}

// tally counts verdicts.
func tally(answers []answer) map[verdict]int {
	n := make(map[verdict]int)
	for _, a := range answers {
		n[a.verdict()]++
	}
	return n
}

// failures lists the errors among answers, for messages.
func failures(answers []answer) string {
	var out []string
	for _, a := range answers {
		if a.err != nil {
			out = append(out, a.err.Error())
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}

// atOnce runs f n times at the same time.
func atOnce(n int, f func(i int) answer) []answer {
	answers := make([]answer, n)
	start := make(chan struct{})
	var ready, all sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			ready.Done()
			<-start
			answers[i] = f(i)
		})
	}
	ready.Wait()
	close(start)
	all.Wait()
	return answers
}

// call is a delivery under way.
type call struct {
	done chan struct{}
	a    answer
}

func begin(f func() answer) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.a = f()
	}()
	return c
}

// returned reports whether the delivery was answered.
func (c *call) returned() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// wait returns the answer.
func (c *call) wait(t tb) answer {
	t.Helper()
	select {
	case <-c.done:
		return c.a
	case <-time.After(2 * deliveryBound):
		require.FailNow(t, "a delivery was not answered")
		return answer{}
	}
}
