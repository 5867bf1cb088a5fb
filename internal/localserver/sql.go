package localserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

// The user that a SQL server is given; it may do everything.
const (
	user     = "tcckit"
	password = "tcckit"
)

// SQL returns what a client of the server needs to connect. It names no database.
func (s *Server) SQL() *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = user, password
	cfg.Net, cfg.Addr = "tcp", s.Addr()
	return cfg
}

// prepareSQL copies the data directory that get-servers.sh initialised, which takes a tenth of the time
// of initialising one.
func (s *Server) prepareSQL() error {
	template := filepath.Join(s.cfg.Programs, string(s.cfg.Kind), "data")
	if err := os.CopyFS(s.dataPath(), os.DirFS(template)); err != nil {
		return fmt.Errorf("copying the initialised data: %w", err)
	}
	return os.WriteFile(s.initPath(), []byte(
		"CREATE USER IF NOT EXISTS '"+user+"'@'%' IDENTIFIED BY '"+password+"';\n"+
			"GRANT ALL ON *.* TO '"+user+"'@'%' WITH GRANT OPTION;\n"), 0o600)
}

func (s *Server) initPath() string { return filepath.Join(s.cfg.Dir, "init.sql") }

// sqlArgs leaves what makes a server durable at the server's defaults (sync_binlog and
// innodb_flush_log_at_trx_commit are 1).
func (s *Server) sqlArgs() []string {
	args := []string{
		"--datadir=" + s.dataPath(),
		"--init-file=" + s.initPath(),
		"--bind-address=127.0.0.1",
		"--port=" + strconv.Itoa(s.port),
		"--socket=socket", // relative to the data: a full path may be longer than a socket's may be
		"--pid-file=pid",
		"--skip-name-resolve",
		"--max-connections=1000", // several packages' pools at once
	}
	if s.cfg.Kind == MySQL {
		args = append(args, "--mysqlx=OFF")
	}
	return args
}

// sqlData asks the server where its data is.
func (s *Server) sqlData(ctx context.Context) (dir string, err error) {
	cfg := s.SQL()
	cfg.Timeout, cfg.ReadTimeout = attemptTimeout, attemptTimeout
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return "", err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT @@datadir").Scan(&dir)
	return dir, err
}
