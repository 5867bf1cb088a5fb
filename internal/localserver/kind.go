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
	// KindRocketMQ is a name server and a broker: see StartRocketMQ.
	KindRocketMQ Kind = "rocketmq"
)

// launcher is the file below the programs' folder that starts the server.
func (k Kind) launcher() string {
	switch k {
	case MySQL:
		return "mysql/bin/mysqld"
	case MariaDB:
		return "mariadb/bin/mariadbd"
	case KindRocketMQ:
		return "rocketmq/bin/java"
	default:
		return "redis/bin/redis-server"
	}
}

// isSQL tells the servers that speak MySQL's protocol.
func (k Kind) isSQL() bool { return k == MySQL || k == MariaDB }

// findLauncher returns the programs' folder, which has what starts the server.
func findLauncher(programs string, k Kind) (string, error) {
	if programs == "" {
		dir, err := FindPrograms()
		if err != nil {
			return "", err
		}
		programs = dir
	}
	if _, err := os.Stat(filepath.Join(programs, k.launcher())); err != nil {
		return "", fmt.Errorf("localserver: no %s in %s: run deploy/local/get-servers.sh: %w", k, programs, err)
	}
	return programs, nil
}

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
