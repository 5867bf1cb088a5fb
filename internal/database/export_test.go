package database

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// LockMigrations holds the lock that a migration of the database holds.
func LockMigrations(t *testing.T, dsn string) (unlock func()) {
	t.Helper()
	src, err := parseDSN(dsn)
	require.NoError(t, err)
	db, err := src.connect()
	require.NoError(t, err)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	l := src.locker()
	require.NoError(t, l.SessionLock(t.Context(), conn))
	return func() {
		require.NoError(t, l.SessionUnlock(t.Context(), conn))
		require.NoError(t, conn.Close())
		require.NoError(t, db.Close())
	}
}
