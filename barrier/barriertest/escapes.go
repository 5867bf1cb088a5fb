package barriertest

import (
	"context"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func escapes() []testCase {
	return []testCase{
		{name: "Refused", run: escapeRefused},
		{name: "SeveralStatements", run: escapeSeveralStatements},
		{name: "Allowed", forms: openForms, run: escapeAllowed},
	}
}

// forbidden are statements that would end the transaction, escape it, or
// change the connection for its next user.
func (d Dialect) forbidden() []string {
	out := []string{
		"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT mine", "RELEASE SAVEPOINT tcc", "ROLLBACK TO SAVEPOINT tcc", "ROLLBACK TO tcc",
		"CREATE TABLE made (id INT)", "CREATE INDEX made ON memo (id)", "ALTER TABLE memo ADD COLUMN made INT", "DROP TABLE memo", "DROP INDEX x",
		"CREATE TEMPORARY TABLE made (id INT)", "CREATE VIEW made AS SELECT 1",
		"", " ", ";", ";COMMIT", "; COMMIT", "nonsense", "/* only a comment */", "-- only a comment",
	}
	if d == SQLite {
		return append(out, "END", "END TRANSACTION", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "PRAGMA foreign_keys = ON", "PRAGMA journal_mode = DELETE",
			"ATTACH DATABASE ':memory:' AS other", "DETACH DATABASE main", "VACUUM", "ANALYZE", "REINDEX")
	}
	out = append(out, "START TRANSACTION", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "BEGIN WORK", "COMMIT WORK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN",
		"SET autocommit = 1", "SET @x = 1", "SET SESSION innodb_lock_wait_timeout = 50", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET NAMES latin1", "SET PASSWORD = 'x'",
		"TRUNCATE TABLE memo", "TRUNCATE memo", "RENAME TABLE memo TO made", "LOCK TABLES memo WRITE", "UNLOCK TABLES", "USE mysql",
		"CALL somewhere()", "PREPARE p FROM 'COMMIT'", "EXECUTE p", "DEALLOCATE PREPARE p", "XA START 'x'", "XA END 'x'", "XA COMMIT 'x'",
		"ANALYZE TABLE memo", "OPTIMIZE TABLE memo", "CHECK TABLE memo", "REPAIR TABLE memo", "FLUSH TABLES", "KILL 1",
		"GRANT SELECT ON *.* TO nobody", "REVOKE SELECT ON *.* FROM nobody", "CREATE USER nobody", "DROP DATABASE nothing",
		"LOAD DATA LOCAL INFILE 'x' INTO TABLE memo", "HANDLER memo OPEN", "INSTALL PLUGIN x SONAME 'x'", "RESET MASTER", "SHUTDOWN",
		"#\nCOMMIT", "# DELETE\nCOMMIT", "--\tx\nCOMMIT",
		"/*!COMMIT*/", "/*! COMMIT */", "/*!50000 COMMIT */", "/*M!COMMIT*/", "/*M!100000 COMMIT */", "SELECT 1 /*!, 2 */",
	)
	if d == MariaDB {
		out = append(out, "BEGIN NOT ATOMIC COMMIT; END", "SET STATEMENT max_statement_time = 1 FOR COMMIT", "EXECUTE IMMEDIATE 'COMMIT'")
	}
	return out
}

// disguises hide a statement behind what a careless look takes for nothing.
var disguises = []string{"%s", "%s;", "  \t\r\n%s", "-- innocent\n%s", "/* innocent */%s", "/* a *//* b */ %s", "/*/ SELECT /*/ %s", "(%s)", "((\n%s))", "/**/%s"}

// escapeRefused: every forbidden statement is refused by every method, however
// it is written, and the branch fails even if its work takes no notice.
func escapeRefused(w *world) {
	b := w.branch(queued)
	for _, plain := range w.dialect.forbidden() {
		for i, d := range disguises {
			if i > 0 && len(plain) > 0 && !worst(plain) {
				continue // a few are enough to try each disguise
			}
			query := strings.Replace(d, "%s", plain, 1)
			for _, q := range []string{query, strings.ToLower(query)} {
				for name, use := range uses {
					if name == "queue" && i > 1 {
						continue
					}
					seen := true
					a := w.deliverWork(b, tcc.Try, b.before(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
						seen = use(ctx, tx, q) != nil
						return nil
					}))
					require.True(w.t, seen, "%q was not refused by %s", q, name)
					require.Equal(w.t, internal, a.verdict(), "%q by %s: %v", q, name, a.err)
				}
			}
		}
	}
	w.wantState(barrier.None, b)
	w.want(done, w.deliver(b, tcc.Try))
}

// worst are the statements that are tried in every disguise.
func worst(query string) bool { return query == "COMMIT" || query == "DROP TABLE memo" }

// uses are the ways to run a statement.
var uses = map[string]func(ctx context.Context, tx barrier.Tx, query string) error{
	"exec": func(ctx context.Context, tx barrier.Tx, query string) error {
		_, err := tx.ExecContext(ctx, query)
		return err
	},
	"query": func(ctx context.Context, tx barrier.Tx, query string) error {
		rows, err := tx.QueryContext(ctx, query)
		if err == nil {
			_ = rows.Close()
		}
		return err
	},
	"query row": func(ctx context.Context, tx barrier.Tx, query string) error {
		return tx.QueryRowContext(ctx, query).Err()
	},
	"prepare": func(ctx context.Context, tx barrier.Tx, query string) error {
		stmt, err := tx.PrepareContext(ctx, query)
		if err == nil {
			_ = stmt.Close()
		}
		return err
	},
	// A malformed queued statement is reported when the branch runs.
	"queue": func(_ context.Context, tx barrier.Tx, query string) error {
		tx.Queue(barrier.Stmt{Query: query})
		return errQueued
	},
}

var errQueued = tcc.Invalidf("queued")

// escapeSeveralStatements: a second statement in the text would run unseen.
func escapeSeveralStatements(w *world) {
	it := w.item(w.t, account, "a", 10)
	for _, q := range w.dialect.severals() {
		for name, use := range uses {
			b := w.branch(queued, line{it, 1})
			seen := true
			a := w.deliverWork(b, tcc.Try, b.before(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
				seen = use(ctx, tx, q) != nil
				return nil
			}))
			require.True(w.t, seen, "%q was not refused by %s", q, name)
			require.Equal(w.t, internal, a.verdict(), "%q by %s: %v", q, name, a.err)
			w.wantState(barrier.None, b)
		}
	}
	require.Equal(w.t, row{available: 10}, w.row(w.t, it))
}

func (d Dialect) severals() []string {
	const update = "UPDATE account SET spent = spent + 1"
	out := []string{
		update + "; COMMIT",
		update + ";COMMIT;",
		update + ";; COMMIT",
		update + "; " + update,
		"SELECT 1; COMMIT",
		"SELECT 1; " + update,
		"(SELECT 1); COMMIT",
		update + " /* ; */; COMMIT",
		update + " -- ;\n; COMMIT",
		update + " WHERE id = ';'; COMMIT",
		update + " WHERE id = 'it''s'; COMMIT",
		update + ` WHERE id = "a"; COMMIT`,
		update + " WHERE `id` = 'a'; COMMIT",
		"; " + update,
	}
	if d == SQLite {
		return append(out,
			update+` WHERE id = '\'; COMMIT; -- '`, // a backslash escapes nothing
			update+" --'\n; COMMIT; -- '",          // a comment needs no space
			update+" WHERE [id] = 'a'; COMMIT",
		)
	}
	return append(out,
		update+` WHERE id = 'it\'s'; COMMIT`,
		update+` WHERE id = '\\'; COMMIT; -- '`,
		update+" # it's\n; COMMIT",
		update+"-- it's\n; COMMIT",
		update+"/*!; COMMIT */",
		update+"/*M!; COMMIT */",
		update+"/*!50000 ; COMMIT; */",
	)
}

// escapeAllowed: what stays inside the transaction runs, however it is
// written.
func escapeAllowed(w *world) {
	it := w.item(w.t, account, "a", 10)
	queries := []string{
		"SELECT 1", "select 1;", " \n SELECT 1 ; ", "/* c */ SELECT 1 /* c */", "-- c\nSELECT 1 -- c",
		"SELECT '; COMMIT'", "SELECT 'it''s; COMMIT'", "SELECT 1 /* ; COMMIT */", "SELECT 1 -- ; COMMIT",
		"WITH x AS (SELECT 1 AS n) SELECT n FROM x",
		"SELECT `id` FROM account", `SELECT COUNT(*) AS "commit; begin" FROM account`,
		"SELECT available FROM account WHERE id IN (SELECT id FROM account)",
		"SELECT 5 - - 3", "SELECT 5 --3\n",
	}
	if w.dialect == SQLite {
		queries = append(queries, `SELECT 'C:\'`, `SELECT '\', 'it''s'`, `SELECT "id", [id] FROM account WHERE id <> '\'`)
	} else {
		queries = append(queries, "(SELECT 1)", "(SELECT 1) UNION (SELECT 2)", "((SELECT 1))", "SELECT 1 FOR UPDATE", `SELECT 'it\'s; COMMIT'`, `SELECT '\\'`, "# c\nSELECT 1",
			"SELECT /*+ MAX_EXECUTION_TIME(1000) */ id FROM account FOR UPDATE")
	}
	b := w.debit(it, 1)
	w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
		for _, q := range queries {
			rows, err := tx.QueryContext(ctx, q)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			if err := rows.Err(); err != nil {
				return err
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		for _, q := range []string{
			"INSERT INTO memo (id) VALUES ('a')", "REPLACE INTO memo (id, body) VALUES ('a', 'b')", "UPDATE memo SET body = 'c' WHERE id = 'a'",
			"INSERT INTO memo (id) SELECT 'b'", "DELETE FROM memo WHERE id = 'a'",
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})))
	require.Equal(w.t, []string{"b"}, w.memos())
}
