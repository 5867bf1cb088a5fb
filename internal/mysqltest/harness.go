package mysqltest

import (
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier/barriertest"
	"github.com/tcckit/tcckit/barrier/mysql"
)

// Harness is a kind of server, and how a store uses it.
type Harness struct {
	Name    string
	Dialect barriertest.Dialect
	Server  func(testing.TB) *mysqldriver.Config // a database of one's own
	Options mysql.Options
}

// lockWait is longer than the store's own: cases hold a row until others wait for it, on a machine that may be busy.
const lockWait = 4 * time.Second

// Run runs f on each harness.
func Run(t *testing.T, f func(*testing.T, barriertest.Harness), harnesses []Harness) {
	for _, h := range harnesses {
		h.Options.LockWaitTimeout = lockWait
		t.Run(h.Name, func(t *testing.T) {
			f(t, barriertest.Harness{Dialect: h.Dialect, Open: func(t *testing.T) barriertest.Database {
				return Database(t, h.Server(t), h.Options)
			}})
		})
	}
}
