package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier/barriertest"
	"github.com/tcckit/tcckit/barrier/sqlite"
)

var harness = barriertest.Harness{Dialect: barriertest.SQLite, Open: openFile}

// openFile makes a database file with the barrier's table.
func openFile(t *testing.T) barriertest.Database {
	path := filepath.Join(t.TempDir(), "participant.db")
	db, err := sqlite.OpenDB(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), sqlite.Schema)
	require.NoError(t, err)
	return barriertest.Database{DB: db, Store: func(t *testing.T) barriertest.Instance {
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return barriertest.Instance{Store: s, Pool: s.DB()}
	}}
}

func TestConformance(t *testing.T) { barriertest.Run(t, harness) }

func TestProperty(t *testing.T) { barriertest.Property(t, harness) }

func TestMixtures(t *testing.T) { barriertest.Mixtures(t, harness) }
