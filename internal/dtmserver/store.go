package dtmserver

import (
	"fmt"
	"net"

	"github.com/go-sql-driver/mysql"
)

// Store says where the server keeps its transactions. The zero value is Bolt.
type Store struct {
	env []string
	err error
}

// Bolt keeps them in a file in the server's folder. One process at a time can use it.
func Bolt() Store { return Store{env: []string{"STORE_DRIVER=boltdb"}} }

// MySQL keeps them in cfg.DBName of a MySQL or MariaDB; of cfg, user, password, TCP address and database
// count. The server creates the database and the tables if they are not there.
func MySQL(cfg *mysql.Config) Store {
	s := remote("mysql", cfg.Addr)
	s.env = append(s.env, "STORE_USER="+cfg.User, "STORE_PASSWORD="+cfg.Passwd, "STORE_DB="+cfg.DBName)
	if s.err == nil && (cfg.Net != "tcp" || cfg.DBName == "") {
		s.err = fmt.Errorf("dtmserver: store: need a TCP address and a database, got %q and %q", cfg.Net, cfg.DBName)
	}
	return s
}

// Redis keeps them in the Redis at addr (host:port), under keys that begin with prefix. The prefix should
// be a hash tag, {...}; empty means DTM's own, {a}.
func Redis(addr, prefix string) Store {
	s := remote("redis", addr)
	if prefix != "" {
		s.env = append(s.env, "STORE_REDIS_PREFIX="+prefix)
	}
	return s
}

func remote(driver, addr string) Store {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		err = fmt.Errorf("dtmserver: %s store: want host:port: %w", driver, err)
	}
	return Store{env: []string{"STORE_DRIVER=" + driver, "STORE_HOST=" + host, "STORE_PORT=" + port}, err: err}
}
