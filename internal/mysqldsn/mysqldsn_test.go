package mysqldsn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/mysqldsn"
)

func TestParse(t *testing.T) {
	for _, dsn := range []string{
		"mysql://me:p%40ss@127.0.0.1/shop?maxAllowedPacket=7",
		"mysql://me:p%40ss@127.0.0.1:3306/shop?maxAllowedPacket=7",
		"me:p@ss@tcp(127.0.0.1:3306)/shop?maxAllowedPacket=7",
	} {
		cfg, err := mysqldsn.Parse(dsn)
		require.NoError(t, err, dsn)
		require.Equal(t, "me p@ss tcp 127.0.0.1:3306 shop", cfg.User+" "+cfg.Passwd+" "+cfg.Net+" "+cfg.Addr+" "+cfg.DBName, dsn)
		require.Equal(t, 7, cfg.MaxAllowedPacket, dsn)
	}
	cfg, err := mysqldsn.Parse("mysql://root@[::1]:3307")
	require.NoError(t, err)
	require.Equal(t, "[::1]:3307", cfg.Addr)
	require.Empty(t, cfg.DBName)
}

func TestParseErrorsKeepTheSecret(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                 "want mysql://",
		"postgres://me:secret@h/db":        `"postgres" is not supported`,
		"mysql://me:secret@/db":            "names no host",
		"mysql://me:se%zzcret@h/db":        "no valid URL",
		"mysql://me:secret@h/db?timeout=x": "parameters",
		"me:secret@tcp(h:1":                "cannot be read",
		"mysql://me:secret@h:port/db":      "no valid URL",
	} {
		_, err := mysqldsn.Parse(dsn)
		require.ErrorContains(t, err, want, dsn)
		require.NotContains(t, err.Error(), "cret", dsn)
	}
}
