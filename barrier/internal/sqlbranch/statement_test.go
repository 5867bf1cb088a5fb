package sqlbranch

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckStatement(t *testing.T) {
	for _, c := range []struct {
		query string
		want  string // part of the error, empty if it is allowed
	}{
		{"UPDATE a SET b = 1", ""},
		{"  \n\tupdate a set b = 1;", ""},
		{"-- why\nUPDATE a SET b = 1 ; -- done", ""},
		{"# why\nUPDATE a SET b = 1", ""},
		{"/* why; not */ UPDATE a SET b = 1", ""},
		{"(SELECT 1) UNION (SELECT 2)", ""},
		{"((SELECT 1))", ""},
		{"WITH x AS (SELECT 1) SELECT * FROM x", ""},
		{"SELECT ';', \"a;b\", `c;d`, 'it''s; fine', 'back\\'; slash'", ""},
		{"SELECT 1 /* ; COMMIT */", ""},
		{"SELECT 1 -- ; COMMIT", ""},
		{"SELECT 5--1", ""},
		{"DELETE FROM a RETURNING b", ""},
		{"", "empty"},
		{" /* nothing */ ", "empty"},
		{";", "empty"},
		{"BEGIN", "BEGIN may not run here"},
		{"Start Transaction", "START may not run here"},
		{"COMMIT", "COMMIT may not run here"},
		{"ROLLBACK", "ROLLBACK may not run here"},
		{"SAVEPOINT a", "SAVEPOINT may not run here"},
		{"RELEASE SAVEPOINT tcc", "RELEASE may not run here"},
		{"SET autocommit = 1", "SET may not run here"},
		{"CREATE TABLE a (b INT)", "CREATE may not run here"},
		{"ALTER TABLE a ADD c INT", "ALTER may not run here"},
		{"DROP TABLE a", "DROP may not run here"},
		{"TRUNCATE a", "TRUNCATE may not run here"},
		{"LOCK TABLES a WRITE", "LOCK may not run here"},
		{"CALL p()", "CALL may not run here"},
		{"PRAGMA synchronous = OFF", "PRAGMA may not run here"},
		{"XA START 'a'", "XA may not run here"},
		{"(COMMIT)", "COMMIT may not run here"},
		{"-- x\n/* y */ COMMIT", "COMMIT may not run here"},
		{"UPDATE a SET b = 1; COMMIT", "more than one statement"},
		{"UPDATE a SET b = ';'; COMMIT", "more than one statement"},
		{"SELECT 'a\\'b'; COMMIT", "more than one statement"},
		{"SELECT 1;;SELECT 2", "more than one statement"},
		{"SELECT 1; /* x */ COMMIT", "more than one statement"},
		{"/*! COMMIT */", "executable comments"},
		{"/*!50000 COMMIT */ SELECT 1", "executable comments"},
		{"/*M! COMMIT */", "executable comments"},
		{"SELECT 1 /*! ; COMMIT */", "executable comments"},
		{"SELECT 'open", "does not end"},
		{"SELECT 1 /* open", "does not end"},
		{"/*", "does not end"},
		{"SELECT '\\", "does not end"},
	} {
		_, err := MySQL.checkStatement(c.query, mayRun)
		if c.want == "" {
			require.NoError(t, err, "%q", c.query)
			continue
		}
		require.ErrorIs(t, err, errRefused, "%q", c.query)
		assert.ErrorContains(t, err, c.want, "%q", c.query)
	}
}

func TestSQLiteWritesOtherwise(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT 'C:\'`:                  "",
		`SELECT '\'; COMMIT`:            "more than one statement",
		`SELECT [a;b], "c;d"`:           "",
		`SELECT [a]]; COMMIT`:           "more than one statement",
		"SELECT 1 --; COMMIT":           "",
		"SELECT 1 --; COMMIT\n; COMMIT": "more than one statement",
		"SELECT [a":                     "does not end",
	} {
		_, err := SQLite.checkStatement(query, mayRun)
		if want == "" {
			require.NoError(t, err, "%q", query)
			continue
		}
		require.ErrorContains(t, err, want, "%q", query)
	}
}

func TestOnlyChangesCanBeQueued(t *testing.T) {
	for _, q := range []string{
		"INSERT INTO a VALUES (1)", "UPDATE a SET b = 1", "DELETE FROM a", "REPLACE INTO a VALUES (1)",
		"UPDATE a SET `returning` = 'returning' WHERE is_returning = 1 -- RETURNING",
	} {
		_, err := MySQL.checkStatement(q, mayQueue)
		require.NoError(t, err, q)
	}
	for _, q := range []string{
		"SELECT 1", "WITH x AS (SELECT 1) SELECT 1", "SHOW TABLES",
		"DELETE FROM a WHERE b = 1 RETURNING c", "INSERT INTO a VALUES (1)returning/* c */c",
	} {
		_, err := MySQL.checkStatement(q, mayQueue)
		require.ErrorIs(t, err, errRefused, q)
	}
}

func TestStatementIsCutAtItsEnd(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT 1":                       "SELECT 1",
		" SELECT 1 ; \n":                 " SELECT 1",
		"SELECT 1 -- why":                "SELECT 1",
		"SELECT 1; -- why":               "SELECT 1",
		"SELECT 1 /* why */;; # so":      "SELECT 1",
		"-- why\nSELECT 1":               "-- why\nSELECT 1",
		"SELECT ';' /* a */ , 2 /* b */": "SELECT ';' /* a */ , 2",
	} {
		got, err := MySQL.checkStatement(query, mayRun)
		require.NoError(t, err, "%q", query)
		require.Equal(t, want, got)
	}
}

// FuzzCheckStatement: whatever is allowed stays refused when a COMMIT is put
// behind it, and reading never fails to end.
func FuzzCheckStatement(f *testing.F) {
	for _, q := range []string{"SELECT --#0", "SELECT ';'", "UPDATE a SET b = 'x\\'y' -- z", "/* a */(SELECT `b`)", "SELECT 1 # c"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		trimmed, err := MySQL.checkStatement(q, mayRun)
		if err != nil {
			return
		}
		if _, err := MySQL.checkStatement(trimmed, mayRun); err != nil {
			t.Fatalf("%q was cut to %q: %v", q, trimmed, err)
		}
		if _, err := MySQL.checkStatement(trimmed+"; COMMIT", mayRun); err == nil {
			t.Fatalf("allowed: %q and a COMMIT behind it", trimmed)
		}
		// The line break ends a comment that q may end in.
		if _, err := MySQL.checkStatement(q+"\n; COMMIT", mayRun); err == nil {
			t.Fatalf("allowed: %q and a COMMIT behind it", q)
		}
		if strings.TrimSpace(q) == "" {
			t.Fatalf("allowed: %q", q)
		}
	})
}
