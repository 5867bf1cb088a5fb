// Package mariadb_test runs the barrier's conformance cases on MariaDB.
package mariadb_test

import (
	"testing"

	"github.com/tcckit/tcckit/barrier/barriertest"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/mysqltest"
	"github.com/tcckit/tcckit/internal/testserver"
)

func TestConformance(t *testing.T) { mysqltest.Run(t, barriertest.Run, harnesses()) }

func TestProperty(t *testing.T) { mysqltest.Run(t, barriertest.Property, harnesses()) }

func TestMixtures(t *testing.T) { mysqltest.Run(t, barriertest.Mixtures, harnesses()) }

// harnesses have work under each isolation level.
func harnesses() []mysqltest.Harness {
	on := func(name string, o mysql.Options) mysqltest.Harness {
		return mysqltest.Harness{Name: name, Dialect: barriertest.MariaDB, Server: testserver.MariaDB, Options: o}
	}
	all := []mysqltest.Harness{
		on("ReadCommitted", mysql.Options{}),
		on("RepeatableRead", mysql.Options{RepeatableRead: true}),
	}
	if testserver.Volume(0, 1) == 1 {
		all = append(all, on("OneByOne", mysql.Options{Batch: 1, RepeatableRead: true}))
	}
	return all
}
