package sqlite_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/tcckit/tcckit/internal/testserver"
)

func TestMain(m *testing.M) {
	// A property is checked this often in each form of the store, unless the command line says otherwise.
	_ = flag.Set("rapid.checks", strconv.Itoa(testserver.Volume(20, 200)))
	os.Exit(m.Run())
}
