package mysql_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/tcckit/tcckit/internal/testserver"
)

func TestMain(m *testing.M) {
	// Random histories of the conformance cases; each store runs them in several forms.
	flag.Parse()
	if err := flag.Set("rapid.checks", strconv.Itoa(testserver.Volume(20, 200))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
