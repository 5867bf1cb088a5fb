package stack

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/keys"
	"github.com/tcckit/tcckit/internal/observe"
)

func newStack(t *testing.T, cfg Config) *Stack {
	t.Helper()
	s, err := New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

func TestTheKeyStays(t *testing.T) {
	dir := t.TempDir()
	first := newStack(t, Config{Dir: dir})
	second := newStack(t, Config{Dir: dir})
	info, err := os.Stat(filepath.Join(dir, "keys"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	signer, err := first.Keyring()
	require.NoError(t, err)
	verifier, err := second.Keyring()
	require.NoError(t, err)
	start := info.ModTime()
	_, err = verifier.Verify("gid", signer.Sign("gid", start), start)
	require.NoError(t, err)

	other, err := keys.Load(newStack(t, Config{Dir: t.TempDir()}).keys)
	require.NoError(t, err)
	_, err = other.Verify("gid", signer.Sign("gid", start), start)
	require.Error(t, err, "each folder has its own")
}

func TestOneStackGetsTheWellKnownPorts(t *testing.T) {
	// It may be that the first does not get them either, if a shop runs on this machine.
	first := newStack(t, Config{Dir: t.TempDir(), FixedPorts: true})
	second := newStack(t, Config{Dir: t.TempDir(), FixedPorts: true})
	for _, name := range Services() {
		require.NotEqual(t, loopback(wellKnown(name)), second.Service(name).Public)
	}
	require.Nil(t, second.guard)
	require.NoError(t, first.Stop(context.Background()))
	require.Nil(t, first.guard, "others can have them now")
}

func TestTheOrderServiceIsToldWhereAllAre(t *testing.T) {
	s := newStack(t, Config{Dir: t.TempDir(), DTM: DTM{GRPCAddr: "dtm:1", HTTPURL: "http://dtm:2"}})
	s.Interpose(Account, "gate:3")
	args := strings.Join(s.arguments(s.Service(Order)), " ")
	for _, want := range []string{
		"--dtm-grpc=dtm:1", "--dtm-http=http://dtm:2",
		"--account-addr=" + s.Service(Account).Internal, "--account-target=gate:3",
		"--stock-target=" + s.Service(Stock).Internal,
	} {
		require.Contains(t, args, want)
	}
	require.NotContains(t, args, "sqlite:", "DSNs may hold passwords")
	require.NotContains(t, strings.Join(s.arguments(s.Service(Stock)), " "), "dtm")
}

func TestServicesDoNotInheritFlags(t *testing.T) {
	t.Setenv("TCCKIT_LISTEN", "0.0.0.0:1")
	t.Setenv("TCCKIT_LOG_LEVEL", "debug")
	s := newStack(t, Config{Dir: t.TempDir(), Databases: map[string]string{Stock: "mysql://h/db"}, Follow: true})
	env := s.Service(Stock).environment()
	require.NotContains(t, env, "TCCKIT_LISTEN=0.0.0.0:1")
	require.Contains(t, env, "TCCKIT_LOG_LEVEL=debug")
	require.Contains(t, env, "TCCKIT_STOCK_DB=mysql://h/db")
	require.Contains(t, env, "TCCKIT_EXPRESS_DB="+s.Service(Stock).Databases()["express"])
	require.Contains(t, strings.Join(s.Service(Order).environment(), " "), "TCCKIT_BANK_NORTH_DB=sqlite:")
}

func TestAnotherProcessAnswerIsNotTaken(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(observe.ProcessHeader, strconv.Itoa(os.Getpid()))
	}))
	defer other.Close()
	require.NoError(t, ask(t.Context(), other.URL, os.Getpid()))
	require.ErrorContains(t, ask(t.Context(), other.URL, os.Getpid()+1), "not served by process")
}

func TestHalfADTMIsRefused(t *testing.T) {
	_, err := New(t.Context(), Config{Dir: t.TempDir(), DTM: DTM{GRPCAddr: "dtm:1"}})
	require.ErrorContains(t, err, "needs both")
	_, err = New(t.Context(), Config{})
	require.ErrorContains(t, err, "Dir is required")
}

func TestOnlyWhoFollowsIsServedBeside(t *testing.T) {
	s := newStack(t, Config{Dir: t.TempDir()})
	require.Empty(t, s.Service(Order).Followers())
	require.Equal(t, "serve order --migrate", strings.Join(s.arguments(s.Service(Order))[:3], " "))
	s = newStack(t, Config{Dir: t.TempDir(), Follow: true, RocketMQ: []string{"a:1", "b:2"}, RocketMQPrefix: "mine-", RelayLease: time.Minute})
	args := strings.Join(s.arguments(s.Service(Order)), " ")
	require.Contains(t, args, "serve order bank-north bank-south cart dispatch --migrate")
	require.Contains(t, args, "--rocketmq=a:1,b:2 --rocketmq-prefix=mine- --relay-lease=1m0s")
	require.Contains(t, strings.Join(s.arguments(s.Service(Stock)), " "), "serve stock express --migrate")
}

func TestAGivenRocketMQIsNotStarted(t *testing.T) {
	_, err := New(t.Context(), Config{Dir: t.TempDir(), RocketMQ: []string{"a:1"}, OwnRocketMQ: true})
	require.ErrorContains(t, err, "none is to be started")
}

func TestMySQLNames(t *testing.T) {
	for dsn, prefix := range map[string]string{"mysql://u:p@h/": "given", "u:p@tcp(h:3306)/own?maxAllowedPacket=7": "own"} {
		m, err := NewMySQL(dsn, "given")
		require.NoError(t, err)
		require.Equal(t, prefix+"_stock", m.Name(Stock))
		require.Contains(t, m.Databases()[Stock], "u:p@tcp(h:3306)/"+prefix+"_stock")
		require.Len(t, m.Databases(), 8, "those that follow have one, too")
	}
	_, err := NewMySQL("postgres://h", "x")
	require.Error(t, err)
}
