// Package e2e holds the tests of the whole shop: its services as processes of their own, with real MySQL
// databases, a real DTM server and, where messages matter, a real RocketMQ, while processes are killed,
// connections cut and answers lost.
//
// TestMain builds tcckit, unless TCCKIT_BINARY names one. TCCKIT_TEST_LONG=1 runs every case against each of
// DTM's stores; otherwise that is boltdb's part, and MySQL and Redis take a third each, not the same one.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// bound is how long a test waits for anything. What takes longest is a transaction whose initiator has
// died: DTM aborts it 10 s after its deadline, which is up to 10 s after its begin, and may then have to
// come back to a participant that was away, at intervals that double.
const bound = 90 * time.Second

// shopsAtOnce is how many tests run at the same time, unless -parallel says it. They mostly wait, so that they
// are more than the processors.
const shopsAtOnce = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", shopsAtOnce); err != nil {
			panic(err)
		}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run() // each test skips itself
	}
	remove, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left behind:", err)
		return 1
	}
	if left := children(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "processes are left behind:", left)
		return 1
	}
	return 0
}
