package main

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/barrier/sqlite"
)

// served is an account service in a process of its own, with an account in it.
type served struct {
	*command
	addresses
	db     string
	client accountpb.AccountServiceClient // of the internal API
}

func serveAccount(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{db: filepath.Join(t.TempDir(), "account.db")}
	s.command = start(t, []string{"TCCKIT_ACCOUNT_DB=sqlite:" + s.db, "TCCKIT_LISTEN=127.0.0.1:0", "TCCKIT_MIGRATE=true"},
		append([]string{"serve", "account", "--listen-internal=127.0.0.1:0", "--admin=127.0.0.1:0"}, args...)...)
	s.addresses = s.serving()
	s.client = accountpb.NewAccountServiceClient(dial(t, s.Internal))
	_, err := s.client.OpenAccount(t.Context(), &accountpb.OpenAccountRequest{RequestId: "open", AccountId: "a", Currency: "EUR"})
	require.NoError(t, err)
	return s
}

// holdDeposit sends a deposit that waits for the database, which the test holds until release. It returns
// when the deposit is in the service's handler.
func (s *served) holdDeposit() (release func(), answer <-chan error) {
	s.t.Helper()
	db, err := sqlite.OpenDB(s.db)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, db.Close()) })
	lock, err := db.BeginTx(context.Background(), nil) // immediate: nobody else can write
	require.NoError(s.t, err)
	answers := make(chan error, 1)
	go func() {
		_, err := s.client.Deposit(context.Background(), &accountpb.DepositRequest{
			RequestId: "deposit", AccountId: "a", Amount: &commonpb.Money{Amount: 100, Currency: "EUR"},
		})
		answers <- err
	}()
	s.eventually("the deposit is in its handler", func() bool {
		_, stacks := get(s.t, "http://"+s.Admin+"/debug/pprof/goroutine?debug=1")
		return strings.Contains(stacks, "account.(*Service).Deposit")
	})
	return func() { require.NoError(s.t, lock.Rollback()) }, answers
}

// awaitDraining waits until the service says that it takes no more calls.
func (s *served) awaitDraining() {
	s.t.Helper()
	s.eventually("it drains", func() bool {
		code, body := get(s.t, "http://"+s.Admin+"/readyz")
		return code == http.StatusServiceUnavailable && body == "draining\n"
	})
}

func (s *served) deposited() (n int) {
	s.t.Helper()
	db, err := sqlite.OpenDB(s.db)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	err = db.QueryRow("SELECT available FROM account WHERE account_id = 'a'").Scan(&n)
	require.NotErrorIs(s.t, err, sql.ErrNoRows)
	require.NoError(s.t, err)
	return n
}

func TestServeLetsCallsUnderWayFinish(t *testing.T) {
	t.Parallel()
	s := serveAccount(t)
	release, answer := s.holdDeposit()
	s.signal(syscall.SIGTERM)
	s.awaitDraining()
	s.eventually("new calls are refused", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		_, err := accountpb.NewAccountServiceClient(dial(t, s.Internal)).GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: "a"})
		return status.Code(err) == codes.Unavailable
	})
	require.False(t, s.ended(), "it waits for the deposit")
	release()
	require.NoError(t, <-answer)
	require.Equal(t, 0, s.code())
	require.Equal(t, 100, s.deposited())
}

func TestASecondSignalEndsServeAtOnce(t *testing.T) {
	t.Parallel()
	s := serveAccount(t, "--drain-timeout=10h")
	release, answer := s.holdDeposit()
	s.signal(syscall.SIGTERM)
	s.awaitDraining()
	require.False(t, s.ended(), "it waits for the deposit")
	s.signal(syscall.SIGTERM)
	require.Equal(t, 128+int(syscall.SIGTERM), s.code())
	require.Equal(t, codes.Unavailable, status.Code(<-answer))
	release()
	require.Equal(t, 0, s.deposited())
}

func TestServeCutsOffWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	s := serveAccount(t, "--drain-timeout=100ms")
	release, answer := s.holdDeposit()
	s.signal(syscall.SIGTERM)
	require.Error(t, <-answer)
	require.Equal(t, 1, s.code())
	require.Contains(t, s.log.String(), "were cut off")
	release()
	require.Equal(t, 0, s.deposited())
}

func TestServeEndsWhenItsParentDoes(t *testing.T) {
	t.Parallel()
	// Its stdin is /dev/null, which ends at once.
	c := start(t, nil, "serve", "account", "--account-db=sqlite:"+filepath.Join(t.TempDir(), "a.db"), "--migrate",
		"--listen=127.0.0.1:0", "--listen-internal=127.0.0.1:0", "--admin=", "--stop-with-stdin")
	require.Equal(t, 0, c.code())
}

func TestPublicAndInternalAddressesDiffer(t *testing.T) {
	t.Parallel()
	s := serveAccount(t)
	public := accountpb.NewAccountServiceClient(dial(t, s.Public))
	_, err := public.GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
	require.NoError(t, err)
	_, err = public.OpenAccount(t.Context(), &accountpb.OpenAccountRequest{RequestId: "b", AccountId: "b", Currency: "EUR"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	s.signal(syscall.SIGINT)
	require.Equal(t, 0, s.code())
}
