package mysql_test

import (
	"testing"

	"github.com/tcckit/tcckit/barrier/barriertest"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/mysqltest"
	"github.com/tcckit/tcckit/internal/testserver"
)

// TestServerKilled: kill -9 under 64 callers.
func TestServerKilled(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect barriertest.Dialect
		start   func(testing.TB) *testserver.Server
		times   int
	}{
		{"MySQL", barriertest.MySQL, testserver.StartMySQL, testserver.Volume(2, 20)},
		{"MariaDB", barriertest.MariaDB, testserver.StartMariaDB, testserver.Volume(1, 20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := c.start(t)
			barriertest.Killed(t, barriertest.Harness{Dialect: c.dialect, Open: func(t *testing.T) barriertest.Database {
				return mysqltest.Database(t, server.Database(), mysql.Options{})
			}}, c.times, server.Kill, server.Restart)
		})
	}
}
