package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
)

// load reads settings from an environment of these variables alone.
func load(t *testing.T, env map[string]string) (settings, error) {
	t.Helper()
	for _, name := range []string{
		"TLS_CERT", "TLS_KEY", "TLS_CA", "TLS_CLIENTS", "PARTICIPANT_TLS", "CONSOLE_ADDR", "CONSOLE_PASSWORD_FILE",
		"CONSOLE_PLAINTEXT", "PROBE_ADDR", "SHUTDOWN_DELAY", "CRON_LOOPS", "FINISHED_RETENTION", "FINISHED_INTERVAL", "ADMIN_BASE_PATH",
	} {
		t.Setenv(name, env[name])
	}
	return loadSettings("")
}

func TestListenersByDefault(t *testing.T) {
	s, err := load(t, nil)
	require.NoError(t, err)
	require.False(t, s.tls.on() || s.tls.participants)
	require.Equal(t, consoleSettings{}, s.console)
	require.Empty(t, s.probeAddr)
	require.Zero(t, s.shutdownDelay)
	require.Equal(t, int64(4), s.cronLoops)
	require.Equal(t, []string{"127.0.0.1:36789", "127.0.0.1:36790"}, []string{s.httpAddr(), s.grpcAddr()})
}

func TestListenersAsTold(t *testing.T) {
	s, err := load(t, map[string]string{
		"TLS_CERT": "a", "TLS_KEY": "b", "TLS_CA": "c", "TLS_CLIENTS": "order, spiffe://shop/ops,", "CONSOLE_ADDR": ":1", "CONSOLE_PASSWORD_FILE": "p",
		"PROBE_ADDR": "0.0.0.0:2", "SHUTDOWN_DELAY": "5s", "CRON_LOOPS": "1", "ADMIN_BASE_PATH": "/dtm",
	})
	require.NoError(t, err)
	absolute := func(path string) string { // for the process goes to DATA_DIR
		path, err := filepath.Abs(path)
		require.NoError(t, err)
		return path
	}
	require.Equal(t, tlsSettings{certs.Files{Cert: absolute("a"), Key: absolute("b"), CA: absolute("c")}, certs.Callers{Names: []string{"order", "spiffe://shop/ops"}}, true}, s.tls)
	require.Equal(t, consoleSettings{addr: ":1", passwordFile: absolute("p")}, s.console)
	require.Equal(t, "0.0.0.0:2", s.probeAddr)
	require.Equal(t, 5*time.Second, s.shutdownDelay)
	require.Equal(t, int64(1), s.cronLoops)
}

func TestListenersThatAreRefused(t *testing.T) {
	files := func(more ...string) map[string]string {
		env := map[string]string{"TLS_CERT": "a", "TLS_KEY": "b", "TLS_CA": "c"}
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"TLS_CERT": "a"}, "give all three or none"},
		{files("TLS_KEY", ""), "give all three or none"},
		{map[string]string{"TLS_CLIENTS": "order"}, "known by TLS alone"},
		{files("TLS_CLIENTS", " , "), "names nobody"},
		{map[string]string{"PARTICIPANT_TLS": "on"}, "give TLS_CERT"},
		{files("PARTICIPANT_TLS", "maybe"), "want on or off"},
		{map[string]string{"CONSOLE_ADDR": "127.0.0.1:1"}, "not served without a password"},
		{map[string]string{"CONSOLE_PASSWORD_FILE": "p"}, "where shall the console listen"},
		{map[string]string{"CONSOLE_ADDR": "0.0.0.0:1", "CONSOLE_PASSWORD_FILE": "p"}, "in the clear"},
		{map[string]string{"CONSOLE_ADDR": ":1", "CONSOLE_PASSWORD_FILE": "p"}, "in the clear"},
		{map[string]string{"CONSOLE_ADDR": "36791", "CONSOLE_PASSWORD_FILE": "p"}, "want host:port"},
		{map[string]string{"PROBE_ADDR": "36792"}, "want host:port"},
		{map[string]string{"SHUTDOWN_DELAY": "5"}, "want a duration"},
		{map[string]string{"SHUTDOWN_DELAY": "-5s"}, "want a duration"},
		{map[string]string{"CRON_LOOPS": "0"}, "want a number from 1 to 64"},
		{map[string]string{"CRON_LOOPS": "many"}, "want a number from 1 to 64"},
		{map[string]string{"CRON_LOOPS": "65"}, "want a number from 1 to 64"},
		{map[string]string{"FINISHED_RETENTION": "7 days"}, "want a duration"},
		{map[string]string{"FINISHED_RETENTION": "1h"}, "want 24h0m0s or longer, or 0 to keep all"},
		{map[string]string{"FINISHED_INTERVAL": "0s"}, "want a duration"},
		{map[string]string{"ADMIN_BASE_PATH": "dtm"}, "want a path such as /dtm"},
		{map[string]string{"ADMIN_BASE_PATH": "/dtm/"}, "want a path such as /dtm"},
		{map[string]string{"ADMIN_BASE_PATH": "/{x}"}, "want a path such as /dtm"},
	} {
		_, err := load(t, test.env)
		require.ErrorContains(t, err, test.want, "%v", test.env)
	}
	for _, env := range []map[string]string{
		files("PARTICIPANT_TLS", "off"),
		{"FINISHED_RETENTION": "0"},
		{"CONSOLE_ADDR": "localhost:1", "CONSOLE_PASSWORD_FILE": "p"},
		{"CONSOLE_ADDR": ":1", "CONSOLE_PASSWORD_FILE": "p", "CONSOLE_PLAINTEXT": "on"},
	} {
		_, err := load(t, env)
		require.NoError(t, err, "%v", env)
	}
}

// What is named in the settings is read before the server starts.
func TestFilesAreReadAtStart(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nothing")
	s, err := load(t, map[string]string{"TLS_CERT": missing, "TLS_KEY": missing, "TLS_CA": missing})
	require.NoError(t, err)
	_, err = newHost(s)
	require.ErrorIs(t, err, os.ErrNotExist)
	s, err = load(t, map[string]string{"CONSOLE_ADDR": "127.0.0.1:0", "CONSOLE_PASSWORD_FILE": missing})
	require.NoError(t, err)
	_, err = newHost(s)
	require.ErrorContains(t, err, "CONSOLE_PASSWORD_FILE: ")
	require.ErrorIs(t, err, os.ErrNotExist)
}
