package stack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/internal/mysqldsn"
)

// MySQL is a server on which the services get a database each, named prefix_service.
type MySQL struct {
	server *mysql.Config
	prefix string
}

// NewMySQL reads the DSN of a server, for a user that may create databases. The database that it names
// becomes the prefix of the databases' names, in place of the one given.
func NewMySQL(dsn, prefix string) (*MySQL, error) {
	cfg, err := mysqldsn.Parse(dsn)
	if err != nil {
		return nil, err
	}
	if cfg.DBName != "" {
		prefix, cfg.DBName = cfg.DBName, ""
	}
	return &MySQL{server: cfg, prefix: prefix}, nil
}

// SetPrefix changes the prefix, whatever the DSN said.
func (m *MySQL) SetPrefix(prefix string) { m.prefix = prefix }

// Name is the name of the database for a service, or for another purpose.
func (m *MySQL) Name(service string) string { return m.prefix + "_" + service }

// Config is how to reach that database.
func (m *MySQL) Config(service string) *mysql.Config {
	cfg := m.server.Clone()
	cfg.DBName = m.Name(service)
	return cfg
}

// Addr is the server's.
func (m *MySQL) Addr() string { return m.server.Addr }

// Databases are the services' databases, for Config.
func (m *MySQL) Databases() map[string]string {
	dsns := make(map[string]string)
	for _, name := range All() {
		dsns[name] = m.Config(name).FormatDSN()
	}
	return dsns
}

// Drop drops the databases of the services and of the other purposes named.
func (m *MySQL) Drop(ctx context.Context, others ...string) (err error) {
	connector, err := mysql.NewConnector(m.server)
	if err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, name := range append(All(), others...) {
		quoted := "`" + strings.ReplaceAll(m.Name(name), "`", "``") + "`"
		if _, err := db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+quoted); err != nil {
			return fmt.Errorf("stack: drop %s: %w", m.Name(name), err)
		}
	}
	return nil
}
