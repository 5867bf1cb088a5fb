package testserver

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tcckit/tcckit/internal/localserver"
)

// Keyspace is a test's share of a Redis server.
type Keyspace struct {
	// Addr is host:port.
	Addr string
	// Prefix is what the test's keys must begin with. It is a hash tag, {...}, as scripts on several
	// keys need it in a cluster.
	Prefix string
}

// Redis returns a share of the shared Redis. Keys with its prefix are deleted when the test ends.
func Redis(t testing.TB) Keyspace {
	t.Helper()
	addr := address(t, localserver.Redis)
	ks := Keyspace{Addr: addr, Prefix: "{test-" + strings.ToLower(rand.Text()) + "}"}
	t.Cleanup(func() {
		if err := ks.clear(); err != nil {
			t.Errorf("deleting the test's keys at %s: %v", ks.Addr, err)
		}
	})
	return ks
}

func (ks Keyspace) clear() error {
	ctx, cancel := bounded()
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: ks.Addr})
	defer client.Close()
	keys := client.Scan(ctx, 0, ks.Prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}
