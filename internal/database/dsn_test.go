package database

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseDSN(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dsn, want string }{
		{"sqlite:/var/lib/shop/order.db", "SQLite file /var/lib/shop/order.db"},
		{"sqlite:///var/lib/shop/order.db", "SQLite file /var/lib/shop/order.db"},
		{"sqlite:order.db", "SQLite file order.db"},
		{"mysql://u:p@db.example:3307/shop", "database shop at db.example:3307"},
		{"mysql://u:p@db.example/shop?tls=preferred", "database shop at db.example:3306"},
		{"mysql://u@[::1]:3306/shop", "database shop at [::1]:3306"},
		{"u:p@tcp(db.example:3306)/shop?timeout=1s", "database shop at db.example:3306"},
		{"u:p@unix(/run/mysqld.sock)/shop", "database shop at /run/mysqld.sock"},
	} {
		src, err := parseDSN(c.dsn)
		require.NoError(t, err, c.dsn)
		require.Equal(t, c.want, src.String(), c.dsn)
	}
}

func TestParseURLDecodesUserAndPassword(t *testing.T) {
	t.Parallel()
	src, err := parseDSN("mysql://us%40er:p%2F%3A%40@h/shop?timeout=7s")
	require.NoError(t, err)
	require.Equal(t, "us@er", src.mysql.User)
	require.Equal(t, "p/:@", src.mysql.Passwd)
	require.Equal(t, "7s", src.mysql.Timeout.String())
}

// An error says what is wrong and what to write, and never repeats a password.
func TestParseDSNRefuses(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for _, c := range []struct{ name, dsn, want string }{
		{"empty", "", "the DSN is empty: want mysql://"},
		{"another database", "postgres://u:" + secret + "@h/d", `scheme "postgres" is not supported`},
		{"no database", "mysql://u:" + secret + "@h:3306/", "names no database"},
		{"no database, driver's form", "u:" + secret + "@tcp(h:3306)/", "names no database"},
		{"no host", "mysql:///shop", "names no host"},
		{"not a URL", "mysql://u:" + secret + "%zz@h/shop", "percent-encoded"},
		{"unknown parameter value", "mysql://u:" + secret + "@h/shop?timeout=soon", "cannot be read"},
		{"driver's form without tcp()", "u:" + secret + "@h:3306/shop", "cannot be read"},
		{"no form at all", "shop", "cannot be read"},
		{"no file", "sqlite:", "names no file"},
		{"memory", "sqlite::memory:", "in memory"},
		{"parameters of SQLite", "sqlite:/a.db?mode=ro", "takes no parameters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseDSN(c.dsn)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), secret)
		})
	}
}
