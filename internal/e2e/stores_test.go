package e2e_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

// dtmStore is where DTM keeps its transactions in a test.
type dtmStore struct {
	name string
	// third is which third of the cases it takes; -1: all of them.
	third int
	open  func(testing.TB) dtmserver.Store
}

// share returns which of n cases are run with the store: threes of neighbours, which tables make different.
func (s dtmStore) share(n int) []int {
	var mine []int
	for i := range n {
		if s.third < 0 || i/3%3 == s.third {
			mine = append(mine, i)
		}
	}
	return mine
}

// onEachStore runs a test with DTM on each of its stores.
func onEachStore(t *testing.T, test func(*testing.T, dtmStore)) {
	t.Helper()
	onStores(t, test,
		dtmStore{"boltdb", -1, func(testing.TB) dtmserver.Store { return dtmserver.Bolt() }},
		dtmStore{"mysql", 0, func(t testing.TB) dtmserver.Store { return dtmserver.MySQL(testserver.MySQL(t)) }},
		dtmStore{"redis", 1, func(t testing.TB) dtmserver.Store {
			keys := testserver.Redis(t)
			return dtmserver.Redis(keys.Addr, keys.Prefix)
		}})
}

// onBolt runs a test for which DTM's store makes no difference.
func onBolt(t *testing.T, test func(*testing.T, dtmStore)) {
	t.Helper()
	onStores(t, test, dtmStore{"boltdb", -1, func(testing.TB) dtmserver.Store { return dtmserver.Bolt() }})
}

func onStores(t *testing.T, test func(*testing.T, dtmStore), stores ...dtmStore) {
	t.Helper()
	t.Parallel()
	if testing.Short() {
		t.Skip("needs real servers and processes, which -short leaves out")
	}
	for _, store := range stores {
		if long() {
			store.third = -1
		}
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			test(t, store)
		})
	}
}

// long says whether to run everything.
func long() bool { return os.Getenv(testserver.EnvLong) != "" }

// inShops runs the store's share of the cases, one after another in each of several shops at once.
func inShops[C fmt.Stringer](t *testing.T, store dtmStore, shops int, cases []C, run func(C, *testing.T, *shop)) {
	t.Helper()
	mine := store.share(len(cases))
	if shops > 1 && len(mine) < len(cases) {
		shops = 1
	}
	for n := range shops {
		t.Run(fmt.Sprintf("shop %d", n+1), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, store.open(t))
			for i := n; i < len(mine); i += shops {
				c := cases[mine[i]]
				if !t.Run(c.String(), func(t *testing.T) { run(c, t, s) }) {
					return // what is left behind would fail the others
				}
			}
		})
	}
}
