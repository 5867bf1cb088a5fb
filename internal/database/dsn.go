package database

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
)

// dsnForms is what a DSN may look like, for messages.
const dsnForms = "want mysql://user:password@host:3306/database, user:password@tcp(host:3306)/database or sqlite:/path/to/file.db"

// source is a parsed DSN.
type source struct {
	dialect Dialect
	mysql   *mysqldriver.Config // of MySQL
	path    string              // of SQLite
}

// String names the database without its password, for messages.
func (s source) String() string {
	if s.dialect == SQLite {
		return "SQLite file " + s.path
	}
	return fmt.Sprintf("database %s at %s", s.mysql.DBName, s.mysql.Addr)
}

// parseDSN reads a DSN. Its errors never repeat it: it holds a password.
func parseDSN(dsn string) (source, error) {
	scheme, rest, hasScheme := strings.Cut(dsn, ":")
	switch {
	case dsn == "":
		return source{}, errors.New("the DSN is empty: " + dsnForms)
	case scheme == string(SQLite):
		return parseSQLite(rest)
	case hasScheme && strings.HasPrefix(rest, "//"):
		if scheme != string(MySQL) {
			return source{}, fmt.Errorf("the DSN's scheme %q is not supported: %s", scheme, dsnForms)
		}
		return parseURL(dsn)
	}
	cfg, err := mysqldriver.ParseDSN(dsn)
	if err != nil {
		return source{}, fmt.Errorf("the DSN cannot be read (%w): %s", err, dsnForms)
	}
	return checkMySQL(cfg)
}

func parseSQLite(rest string) (source, error) {
	path := strings.TrimPrefix(rest, "//")
	switch {
	case path == "":
		return source{}, errors.New("the DSN names no file: want sqlite:/path/to/file.db")
	case strings.HasPrefix(path, ":memory:"):
		return source{}, errors.New("a SQLite database in memory would be another one for each connection: want sqlite:/path/to/file.db")
	case strings.ContainsAny(path, "?#"):
		return source{}, errors.New("the path of a SQLite database takes no parameters: want sqlite:/path/to/file.db")
	}
	return source{dialect: SQLite, path: path}, nil
}

// parseURL reads the form mysql://user:password@host:port/database?params, of
// which the parameters are those of go-sql-driver/mysql.
func parseURL(dsn string) (source, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		// The error's text repeats the DSN.
		return source{}, errors.New("the DSN is no valid URL, special characters in user and password must be percent-encoded: " + dsnForms)
	}
	if u.Hostname() == "" {
		return source{}, errors.New("the DSN names no host: " + dsnForms)
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	plain := "tcp(" + net.JoinHostPort(u.Hostname(), port) + ")/"
	if u.RawQuery != "" {
		plain += "?" + u.RawQuery
	}
	cfg, err := mysqldriver.ParseDSN(plain)
	if err != nil {
		return source{}, fmt.Errorf("the DSN cannot be read (%w): %s", err, dsnForms)
	}
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = strings.TrimPrefix(u.Path, "/")
	return checkMySQL(cfg)
}

func checkMySQL(cfg *mysqldriver.Config) (source, error) {
	if cfg.DBName == "" {
		return source{}, errors.New("the DSN names no database: " + dsnForms)
	}
	return source{dialect: MySQL, mysql: cfg}, nil
}
