package coordinator_test

import (
	"context"
	"testing"

	"github.com/tcckit/tcckit/tcc"
)

// exampleT is a testing.TB for examples, which have none.
type exampleT struct {
	testing.TB

	cleanups []func()
}

func (*exampleT) Helper()                  {}
func (*exampleT) Context() context.Context { return context.Background() }
func (*exampleT) Errorf(f string, a ...any) {
	panic("example: " + f)
}
func (*exampleT) FailNow()           { panic("example") }
func (e *exampleT) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

// startExample starts what the example needs.
func startExample() (*standIn, *participant, func()) {
	t := &exampleT{}
	s, p := newStandIn(t), newParticipant(t)
	p.on(tcc.Try, func(_ context.Context, d delivery) error {
		if d.request == "reserve coffee" {
			return tcc.Reject("INSUFFICIENT_STOCK", "", map[string]string{"left": "0"})
		}
		return nil
	})
	return s, p, func() {
		for i := len(t.cleanups) - 1; i >= 0; i-- {
			t.cleanups[i]()
		}
	}
}
