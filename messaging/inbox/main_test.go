package inbox_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(envChild); order != "" {
		if err := runChild(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	_ = mysql.SetLogger(&mysql.NopLogger{}) // of connections that tests cut
	goleak.VerifyTestMain(m)
}
