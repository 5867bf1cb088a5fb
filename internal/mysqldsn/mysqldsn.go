// Package mysqldsn reads how to reach a MySQL or MariaDB server, in either of the forms that people use.
package mysqldsn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
)

const (
	scheme = "mysql://"
	forms  = "want mysql://user:password@host:3306/database or user:password@tcp(host:3306)/database"
)

// Parse reads a DSN in either form. It may name no database. Errors never repeat the DSN, which holds a
// password.
func Parse(dsn string) (*mysql.Config, error) {
	if dsn == "" {
		return nil, errors.New("the DSN is empty: " + forms)
	}
	if !strings.HasPrefix(dsn, scheme) {
		if before, _, found := strings.Cut(dsn, "://"); found && !strings.ContainsAny(before, "@(/") {
			return nil, fmt.Errorf("the DSN's scheme %q is not supported: %s", before, forms)
		}
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			return nil, fmt.Errorf("the DSN cannot be read (%w): %s", err, forms)
		}
		return cfg, nil
	}
	u, err := url.Parse(dsn)
	if err != nil { // its text repeats the DSN
		return nil, errors.New("the DSN is no valid URL, special characters in user and password must be percent-encoded: " + forms)
	}
	if u.Hostname() == "" {
		return nil, errors.New("the DSN names no host: " + forms)
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	cfg, err := mysql.ParseDSN("tcp(" + net.JoinHostPort(u.Hostname(), port) + ")/?" + u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the DSN's parameters cannot be read (%w): %s", err, forms)
	}
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = strings.TrimPrefix(u.Path, "/")
	return cfg, nil
}
