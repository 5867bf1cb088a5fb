package testserver

import (
	"os"
	"testing"

	"github.com/tcckit/tcckit/internal/localserver"
)

// The environment variables that name the shared servers.
const (
	// EnvMySQL holds a DSN of go-sql-driver/mysql for a user that may create databases.
	EnvMySQL = "TCCKIT_TEST_MYSQL"
	// EnvMariaDB holds the same for MariaDB.
	EnvMariaDB = "TCCKIT_TEST_MARIADB"
	// EnvRedis holds host:port.
	EnvRedis = "TCCKIT_TEST_REDIS"
	// EnvRocketMQ holds the name server's host:port.
	EnvRocketMQ = "TCCKIT_TEST_ROCKETMQ"
)

// Env returns the variable that names the shared server of a kind.
func Env(kind localserver.Kind) string {
	switch kind {
	case localserver.MySQL:
		return EnvMySQL
	case localserver.MariaDB:
		return EnvMariaDB
	case localserver.KindRocketMQ:
		return EnvRocketMQ
	default:
		return EnvRedis
	}
}

// address returns what the environment says about the shared server of a kind; without it the test ends.
func address(t testing.TB, kind localserver.Kind) string {
	t.Helper()
	skipShort(t)
	v := os.Getenv(Env(kind))
	if v == "" {
		t.Fatalf("%s is not set, so there is no %s to test against: run `make test`, "+
			"or this package alone with `go run ./internal/testserver/withservers -- go test -race ./...`, "+
			"or set it to a server that the test may use (CONTRIBUTING.md)", Env(kind), kind)
	}
	return v
}

func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers, which -short leaves out")
	}
}

// EnvLong asks, if it is not empty, for tests of volume: see Volume.
const EnvLong = "TCCKIT_TEST_LONG"

// Volume is how often a test does something: usual times in `make test`, long times in `make test-long`.
func Volume(usual, long int) int {
	if os.Getenv(EnvLong) != "" {
		return long
	}
	return usual
}
