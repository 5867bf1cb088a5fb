package mysql_test

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

// harnesses are MySQL with work under each isolation level, and with a transaction for each branch. MariaDB's are
// in internal/mariadb: a package of their own, which go test runs beside this one.
func harnesses() []mysqltest.Harness {
	on := func(name string, o mysql.Options) mysqltest.Harness {
		return mysqltest.Harness{Name: "MySQL/" + name, Dialect: barriertest.MySQL, Server: testserver.MySQL, Options: o}
	}
	all := []mysqltest.Harness{
		on("ReadCommitted", mysql.Options{}),
		on("RepeatableRead", mysql.Options{RepeatableRead: true}),
		on("OneByOne", mysql.Options{Batch: 1}),
	}
	if testserver.Volume(0, 1) == 1 {
		all = append(all, on("ThreeWorkers", mysql.Options{Batch: 8, Workers: 3}))
	}
	return all
}
