package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/participants/cart"
)

// participant is the database of a participant, of whatever kind.
type participant struct {
	*database.DB
	dsn string
}

// eachParticipant runs a test on a participant's database, on SQLite and on MySQL.
func eachParticipant(t *testing.T, test func(t *testing.T, p *participant)) {
	t.Helper()
	for _, kind := range []databasetest.Kind{databasetest.SQLite, databasetest.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			databasetest.Migrate(t, dsn, cart.Migrations())
			test(t, &participant{databasetest.Open(t, dsn, cart.Migrations()), dsn})
		})
	}
}

func (p *participant) messages() messaging.Dialect { return messaging.Dialect(p.Dialect()) }

// tcckit runs a command on the participant's database, which must end with a code.
func (p *participant) tcckit(t *testing.T, code int, args ...string) result {
	t.Helper()
	return runHere(t, code, append(args, "--db="+p.dsn)...)
}

// result is what a command has printed.
type result struct{ out, log string }

// runHere runs a command in this process, which is much faster than one of its own.
func runHere(t *testing.T, code int, args ...string) result {
	t.Helper()
	var out, log bytes.Buffer
	require.Equal(t, code, run(t.Context(), args, &out, &log), "tcckit %q\nstdout:\n%s\nstderr:\n%s", args, &out, &log)
	return result{out.String(), log.String()}
}
