package localserver

import (
	"fmt"
	"os"
	"path/filepath"
)

// Kind says which server.
type Kind string

// The servers that can be run.
const (
	MySQL   Kind = "mysql"
	MariaDB Kind = "mariadb"
	Redis   Kind = "redis"
)

// launcher is the file below the programs' folder that starts the server.
func (k Kind) launcher() string {
	switch k {
	case MySQL:
		return "mysql/bin/mysqld"
	case MariaDB:
		return "mariadb/bin/mariadbd"
	default:
		return "redis/bin/redis-server"
	}
}

// isSQL tells the servers that speak MySQL's protocol.
func (k Kind) isSQL() bool { return k == MySQL || k == MariaDB }

// FindPrograms returns the folder that deploy/local/get-servers.sh fills, in the checkout that the
// working directory lies in. Whether it holds a server only Start sees.
func FindPrograms() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("localserver: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "deploy", "local", "get-servers.sh")); err == nil {
			return filepath.Join(dir, ".cache", "servers"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("localserver: %s is not inside a checkout of tcckit", wd)
		}
	}
}
