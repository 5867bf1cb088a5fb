package main

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// The chart's pods have their database in TCCKIT_DB, and in the variable of their service, too.
func TestADatabaseThatIsGivenTwiceIsAskedOnce(t *testing.T) {
	t.Parallel()
	var dbs participantDBs
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	dbs.register(flags)
	require.NoError(t, flags.Parse([]string{"--db=sqlite:order", "--order-db=sqlite:order", "--db=hotel=mysql://ops@db/hotel?tls=true"}))
	require.Equal(t, []dsn{{"order", "sqlite:order"}, {"hotel", "mysql://ops@db/hotel?tls=true"}}, dbs.list())
}
