package e2e_test

import (
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/internal/testserver"
)

// TestMySQLKilled kills the services' MySQL while clients place orders, and starts it again.
func TestMySQLKilled(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		server := testserver.StartMySQL(t)
		s := openShop(t, store.open(t), func(t *testing.T) *database {
			cfg := server.Database()
			cfg.Logger = &mysql.NopLogger{} // of connections that the kill breaks
			return openDatabase(t, cfg)
		}, true)
		crowd := s.crowd(t, 8, uint64(time.Now().UnixNano()))
		for range 2 {
			crowd.progress(t, 20)
			server.Kill()
			server.Restart()
		}
		crowd.progress(t, 20)
		crowd.end(t)
	})
}
