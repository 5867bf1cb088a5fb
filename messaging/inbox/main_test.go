package inbox_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/internal/testserver"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(envChild); order != "" {
		if err := runChild(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// A property is checked this often, unless the command line says otherwise.
	_ = flag.Set("rapid.checks", strconv.Itoa(testserver.Volume(25, 500)))
	_ = mysql.SetLogger(&mysql.NopLogger{}) // of connections that tests cut
	goleak.VerifyTestMain(m)
}
