package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/certs/certstest"
)

const hexKey = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"

// What makes no sense is said at once, before anything is served or written.
func TestBadStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	account := "--account-db=sqlite:" + filepath.Join(dir, "account.db")
	order := "--order-db=sqlite:" + filepath.Join(dir, "order.db")
	local := []string{"--listen=127.0.0.1:0", "--listen-internal=127.0.0.1:0", "--admin=127.0.0.1:0", "--migrate"}
	ca := certstest.NewAuthority(t)
	order1, account1 := ca.Files(t, "order"), ca.Files(t, "account")
	mutual := slices.Clip(tlsArguments(order1))
	serve := func(args ...string) []string { return append(append([]string{"serve"}, local...), args...) }
	for name, test := range map[string]struct {
		args      []string
		variables []string
		code      int
		want      string
	}{
		"an unknown command":                     {[]string{"server"}, nil, 2, `unknown command "server", did you mean serve?`},
		"an unknown flag":                        {serve("account", account, "--port=1"), nil, 2, "unknown flag: --port"},
		"no service":                             {serve(account), nil, 2, "name the services: any of order, account, stock"},
		"an unknown service":                     {serve("acount", account), nil, 2, `unknown service "acount": want any of order, account, stock`},
		"a service twice":                        {serve("account", "account", account), nil, 2, "account is named twice"},
		"no database":                            {serve("account"), nil, 2, "--account-db is missing"},
		"a DSN of another kind":                  {serve("account", "--account-db=postgres://me:secret@h/db"), nil, 1, `"postgres" is not supported`},
		"a DSN that cannot be read":              {serve("account", "--account-db=me:secret@tcp(h"), nil, 1, "the DSN cannot be read"},
		"a server that is away":                  {serve("account", "--account-db=mysql://me:secret@"+closedAddress(t)+"/db"), nil, 1, "the server cannot be reached"},
		"a bad duration":                         {serve("account", account, "--drain-timeout=soon"), nil, 2, `"--drain-timeout"`},
		"a drain timeout of 0":                   {serve("account", account, "--drain-timeout=0s"), nil, 2, "drain timeout of 0s"},
		"a bad value in environment":             {serve("account", account), []string{"TCCKIT_MAX_CONNS=many"}, 2, "TCCKIT_MAX_CONNS in the environment"},
		"a bad log level":                        {serve("account", account, "--log-level=loud"), nil, 2, `unknown log level "loud"`},
		"a bad log format":                       {serve("account", account, "--log-format=xml"), nil, 2, `unknown log format "xml"`},
		"a bad OTLP endpoint":                    {serve("account", account, "--otlp-endpoint=127.0.0.1:4317"), nil, 1, "want http://host:port"},
		"an address without a port":              {[]string{"serve", "account", account, "--listen=127.0.0.1"}, nil, 1, "want host:port"},
		"a taken public address":                 {serve("account", account, "--listen="+takenAddress(t)), nil, 1, "public API on"},
		"a taken internal address":               {serve("account", account, "--listen-internal="+takenAddress(t)), nil, 1, "the address is taken"},
		"a taken admin address":                  {serve("account", account, "--admin="+takenAddress(t)), nil, 1, "admin listener on"},
		"a keys file that is not there":          {serve("account", account, "--keys-file="+filepath.Join(dir, "none")), nil, 2, "no such file"},
		"a key that is too short":                {serve("account", account), []string{"TCCKIT_KEYS=a:0102"}, 2, "TCCKIT_KEYS"},
		"all interfaces without keys":            {serve("account", account, "--listen=:0"), nil, 1, "give certificates (--tls-cert, --tls-key, --tls-ca), or at least signing keys"},
		"a network without keys":                 {serve("account", account, "--listen-internal=0.0.0.0:0"), nil, 1, "give certificates"},
		"a taken health address":                 {serve("account", account, "--listen-health="+takenAddress(t)), nil, 1, "health listener on"},
		"a certificate without its key":          {serve("account", account, "--tls-cert=x"), nil, 2, "give the paths of all three"},
		"certificates that are not there":        {serve("account", account, "--tls-cert=none.crt", "--tls-key=none.key", "--tls-ca=ca.crt"), nil, 2, "none.key: no such file"},
		"another one's key":                      {serve("account", account, "--tls-cert="+order1.Cert, "--tls-key="+account1.Key, "--tls-ca="+order1.CA), nil, 2, "is not that of the certificate"},
		"coordinators without TLS":               {serve("account", account, "--tls-coordinators=dtm"), nil, 2, "go with --tls-cert"},
		"initiators without TLS, in environment": {serve("account", account), []string{"TCCKIT_TLS_INITIATORS=shop"}, 2, "go with --tls-cert"},
		"a gateway without TLS":                  {serve("account", account, "--public-plaintext"), nil, 2, "go with --tls-cert"},
		"an identity that is none":               {serve(append(mutual, "account", account, "--tls-initiators=*.shop,order")...), nil, 2, `--tls-initiators: "*.shop" is no identity`},
		"a DTM without TLS":                      {serve(append(mutual, "order", order, "--account-addr=h:1", "--stock-addr=h:1")...), nil, 2, "with --tls-cert DTM is asked by TLS"},
		"a DTM without TLS, asked":               {append([]string{"barrier", "stuck", "--db=sqlite:x"}, mutual...), nil, 2, "with --tls-cert want https://host:port"},
		"half of what TLS takes, asked":          {[]string{"barrier", "stuck", "--db=sqlite:x", "--tls-ca=x"}, nil, 2, "give all three or none"},
		"a drain delay before the end":           {serve("account", account, "--drain-delay=-1s"), nil, 2, "drain delay of -1s"},
		"a list of addresses with a hole":        {serve("order", order, "--account-addr=h:1,,h:2", "--stock-addr=h:1"), nil, 2, "--account-addr"},
		"order without its peers":                {serve("order", order), nil, 2, "account is not served by this process, so say at which host:port it is: --account-addr"},
		"order with half an address":             {serve("order", order, "--account-addr=host", "--stock-addr=h:1"), nil, 2, "--account-addr"},
		"a target that DTM cannot dial":          {serve("order", order, "--account-addr=dns:///a:1", "--stock-addr=h:1"), nil, 2, "--account-target, which DTM dials"},
		"all interfaces and no target":           {serve("order", order, "--listen-internal=:0", "--account-addr=h:1", "--stock-addr=h:1", "--insecure"), nil, 2, "--order-target"},
		"a DTM URL without scheme":               {serve("order", order, "--dtm-http=127.0.0.1:1"), nil, 2, "DTM's HTTP address"},
		"a DTM address without port":             {serve("order", order, "--dtm-grpc=dtm"), nil, 2, "DTM's gRPC address"},
		"half a second between retries":          {serve("order", order, "--retry-interval=500ms"), nil, 2, "whole seconds"},
		"migrate without a database":             {[]string{"migrate", "stock"}, nil, 2, "--stock-db is missing"},
		"migrate of nothing":                     {[]string{"migrate"}, nil, 2, "name the services"},
		"gc without a database":                  {[]string{"barrier", "gc"}, nil, 2, "--db is missing"},
		"gc of a file that is not there":         {[]string{"barrier", "gc", "--db=sqlite:" + filepath.Join(dir, "none.db")}, nil, 1, "no such file"},
		"gc with too short a retention":          {[]string{"barrier", "gc", "--db=sqlite:x", "--retention=7d"}, nil, 2, "retention of 168h0m0s is refused"},
		"gc with a bad retention":                {[]string{"barrier", "gc", "--db=sqlite:x", "--retention=long"}, nil, 2, "want days such as 30d"},
		"gc from a bad position":                 {[]string{"barrier", "gc", "--db=sqlite:x", "--after=gid"}, nil, 2, "want 'GID BRANCH_ID'"},
		"stuck for no time":                      {[]string{"barrier", "stuck", "--db=sqlite:x", "--older-than=0s"}, nil, 2, "must be more than 0"},
		"half a DTM for the demo":                {[]string{"demo", "--dtm-grpc=127.0.0.1:1"}, nil, 2, "--dtm-grpc and --dtm-http belong together"},
		"a benchmark without servers":            {[]string{"bench", "order"}, nil, 2, "--mysql and --redis are needed"},
		"an argument too many":                   {[]string{"demo", "now"}, nil, 2, `unexpected argument "now"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, test.variables, test.args...)
			require.Equal(t, test.code, c.code())
			require.Contains(t, c.log.String(), test.want)
			require.NotContains(t, c.log.String(), "secret", "a password is not for logs")
			require.NotContains(t, c.log.String(), "Usage:", "the message must not drown")
			require.Empty(t, c.out.String())
		})
	}
}

// Everything that is wrong is said at once.
func TestBadStartSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	c := start(t, nil, "serve", "order", "--order-db=sqlite:x", "--tls-cert=none.crt", "--tls-key=none.key", "--tls-ca=none.ca",
		"--tls-coordinators=d t m", "--drain-delay=-1s", "--dtm-grpc=dtm", "--dtm-http=http://dtm:36789")
	require.Equal(t, 2, c.code())
	for _, wrong := range []string{"none.crt", "none.key", "none.ca", `"d t m" is no identity`, "drain delay of -1s", "DTM's gRPC address", "want https://"} {
		require.Contains(t, c.log.String(), wrong)
	}
}

// closedAddress is an address on which nothing listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestServeWantsMigrations(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "account.db")
	c := start(t, nil, "serve", "account", "--account-db=sqlite:"+db, "--listen=127.0.0.1:0", "--listen-internal=127.0.0.1:0", "--admin=")
	require.Equal(t, 1, c.code())
	require.Contains(t, c.log.String(), "run `tcckit migrate` first")
	require.NoFileExists(t, db)
}

func TestKeysOpenTheNetwork(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(file, []byte("a:"+hexKey+"\n"), 0o600))
	for name, test := range map[string]struct {
		args      []string
		variables []string
	}{
		"from a file":          {[]string{"--keys-file=" + file}, nil},
		"from the environment": {nil, []string{"TCCKIT_KEYS=a:" + hexKey}},
		"certificates":         {tlsArguments(certstest.NewAuthority(t).Files(t, "account")), nil},
		"no keys, as told":     {[]string{"--insecure"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The admin address is taken, so that nothing is served to the network by this test.
			args := append([]string{"serve", "account", "--account-db=sqlite:x", "--listen=0.0.0.0:0", "--listen-internal=0.0.0.0:0", "--admin=" + takenAddress(t)}, test.args...)
			c := start(t, test.variables, args...)
			require.Equal(t, 1, c.code())
			require.Contains(t, c.log.String(), "admin listener on")
		})
	}
}

func TestEveryFlagIsInTheHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"serve"}, {"migrate"}, {"barrier", "gc"}, {"barrier", "stuck"}, {"demo"}, {"up"}, {"down"}, {"bench", "order"}} {
		c := start(t, nil, append(args, "--help")...)
		require.Equal(t, 0, c.code(), args)
		require.Contains(t, c.out.String(), "Usage:", args)
	}
	c := start(t, nil, "version")
	require.Equal(t, 0, c.code())
	require.True(t, strings.HasPrefix(c.out.String(), "tcckit "), c.out)
}
