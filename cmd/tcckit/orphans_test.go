package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/keys"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// orphanage is an account service with signing keys, a DTM, and ways to leave
// branches behind.
type orphanage struct {
	*command
	addresses
	t        *testing.T
	dsn      string
	keysFile string
	ring     *tcc.Keyring
	dtm      *dtmserver.Server
	account  accountpb.AccountServiceClient
	conn     *grpc.ClientConn
	client   *coordinator.Client
}

// onEachOrphanage runs a test on each kind of database, and with stock DTM, which
// loses a repeated Submit, on each of its stores.
func onEachOrphanage(t *testing.T, flags []string, test func(o *orphanage)) {
	onEachStore(t, dtmserver.LocateStock, flags, test)
}

// onEachStore is that with the build of DTM that locate finds.
func onEachStore(t *testing.T, locate func(string) (string, error), flags []string, test func(o *orphanage)) {
	needsDTM(t)
	binary, err := locate("")
	require.NoError(t, err)
	for kind, store := range map[databasetest.Kind]func(*testing.T) dtmserver.Store{
		databasetest.SQLite: func(*testing.T) dtmserver.Store { return dtmserver.Bolt() },
		databasetest.MySQL:  func(t *testing.T) dtmserver.Store { return dtmserver.MySQL(testserver.MySQL(t)) },
		databasetest.MariaDB: func(t *testing.T) dtmserver.Store {
			r := testserver.Redis(t)
			return dtmserver.Redis(r.Addr, r.Prefix)
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(openOrphanage(t, databasetest.DSN(t, kind), binary, store(t), flags))
		})
	}
}

func openOrphanage(t *testing.T, dsn, binary string, store dtmserver.Store, flags []string) *orphanage {
	t.Helper()
	dir, err := os.MkdirTemp("", "tcckit-orphans-") // not t.TempDir: the server writes until it is killed
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	dtm, err := dtmserver.Start(t.Context(), dtmserver.Config{Binary: binary, Dir: dir, Store: store})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dtm.Kill()) })

	o := &orphanage{t: t, dsn: dsn, dtm: dtm, keysFile: filepath.Join(t.TempDir(), "keys")}
	require.NoError(t, os.WriteFile(o.keysFile, []byte("k:"+strings.Repeat("ab", 32)+"\n"), 0o600))
	o.ring, err = keys.Load(o.keysFile)
	require.NoError(t, err)
	args := []string{"serve", "account", "--migrate", "--listen=127.0.0.1:0", "--listen-internal=127.0.0.1:0", "--admin=127.0.0.1:0", "--keys-file=" + o.keysFile}
	for _, f := range flags {
		args = append(args, strings.ReplaceAll(f, "DTM", dtm.HTTPURL()))
	}
	o.command = start(t, []string{"TCCKIT_ACCOUNT_DB=" + dsn}, args...)
	o.addresses = o.serving()
	o.conn = dial(t, o.Internal)
	o.account = accountpb.NewAccountServiceClient(o.conn)
	o.client, err = coordinator.New(coordinator.Config{Conn: dial(t, dtm.GRPCAddr()), HTTPURL: dtm.HTTPURL(), Keys: o.ring, RetryInterval: time.Minute})
	require.NoError(t, err)
	_, err = o.account.OpenAccount(t.Context(), &accountpb.OpenAccountRequest{RequestId: "o", AccountId: "a", Currency: "EUR"})
	require.NoError(t, err)
	_, err = o.account.Deposit(t.Context(), &accountpb.DepositRequest{RequestId: "d", AccountId: "a", Amount: eur(1000)})
	require.NoError(t, err)
	return o
}

func eur(n int64) *commonpb.Money { return &commonpb.Money{Amount: n, Currency: "EUR"} }

// branch takes an amount from the account. What DTM reaches at target is
// nobody, or the account service.
func (o *orphanage) branch(amount int64, target string) coordinator.Branch {
	return coordinator.Branch{
		Conn: o.conn, Target: target, Request: &accountpb.DebitRequest{AccountId: "a", Amount: eur(amount)},
		Try: accountpb.AccountService_TryDebit_FullMethodName, Confirm: accountpb.AccountService_ConfirmDebit_FullMethodName, Cancel: accountpb.AccountService_CancelDebit_FullMethodName,
	}
}

// waiting leaves a transaction at DTM that is committed, and whose Confirms
// fail at the first branch that DTM cannot reach.
func (o *orphanage) waiting(branches ...coordinator.Branch) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), bound)
	defer cancel()
	tx, err := o.client.Begin(ctx)
	require.NoError(o.t, err)
	require.NoError(o.t, tx.Try(ctx, branches...))
	require.NoError(o.t, tx.Commit(ctx))
	o.eventually("DTM has failed to confirm", func() bool {
		info, err := o.client.Query(ctx, tx.GID())
		return err == nil && info.RetryInterval > time.Minute
	})
	return tx.GID()
}

// forceStop is what the button in DTM's console does.
func (o *orphanage) forceStop(gid string) {
	o.t.Helper()
	body, err := json.Marshal(map[string]string{"gid": gid})
	require.NoError(o.t, err)
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.dtm.HTTPURL()+"/api/dtmsvr/forceStop", bytes.NewReader(body))
	require.NoError(o.t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(o.t, err)
	require.NoError(o.t, resp.Body.Close())
	require.Equal(o.t, http.StatusOK, resp.StatusCode)
}

// submitAgain makes stock DTM lose a transaction.
func (o *orphanage) submitAgain(gid string) {
	o.t.Helper()
	_, err := dtmgpb.NewDtmClient(dial(o.t, o.dtm.GRPCAddr())).Submit(o.t.Context(), &dtmgpb.DtmRequest{Gid: gid, TransType: "tcc"})
	require.NoError(o.t, err)
	o.eventually("DTM has lost it", func() bool {
		info, err := o.client.Query(o.t.Context(), gid)
		return err == nil && info.Status == coordinator.Succeeded
	})
}

// forgotten leaves a branch of which no coordinator knows.
func (o *orphanage) forgotten(gid string, amount int64) {
	o.t.Helper()
	ctx := tcc.Outgoing(o.t.Context(), tcc.Branch{GID: gid, ID: "01", Phase: tcc.Try}, o.ring.Sign(gid, time.Now()))
	_, err := o.account.TryDebit(ctx, &accountpb.DebitRequest{AccountId: "a", Amount: eur(amount)})
	require.NoError(o.t, err)
}

// sums are what is available, frozen and spent.
func (o *orphanage) sums() [3]int64 {
	o.t.Helper()
	resp, err := o.account.GetAccount(o.t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
	require.NoError(o.t, err)
	a := resp.GetAccount()
	return [3]int64{a.GetAvailable(), a.GetFrozen(), a.GetSpent()}
}

// tcckit runs a command on the account's database and returns what it printed.
func (o *orphanage) tcckit(code int, args ...string) (out, log string) {
	o.t.Helper()
	c := start(o.t, []string{"TCCKIT_DB=" + o.dsn, "TCCKIT_DTM_HTTP=" + o.dtm.HTTPURL()}, args...)
	require.Equal(o.t, code, c.code(), c.log)
	return c.out.String(), c.log.String()
}

func (o *orphanage) resolve(code int, args ...string) (out, log string) {
	o.t.Helper()
	return o.tcckit(code, append([]string{"barrier", "resolve", "--addr=" + o.Internal, "--keys-file=" + o.keysFile, "--older-than=1ms"}, args...)...)
}

// coordinatorColumn is what stands beside a transaction in `barrier stuck`.
func coordinatorColumn(t *testing.T, out, gid string) string {
	t.Helper()
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, gid); ok {
			_, view, _ := strings.Cut(strings.TrimSpace(rest), "   ")
			return strings.TrimSpace(view)
		}
	}
	require.Fail(t, "not listed", "%s in\n%s", gid, out)
	return ""
}

func TestOrphansByHand(t *testing.T) {
	t.Parallel()
	onEachOrphanage(t, nil, func(o *orphanage) {
		t := o.t
		nobody := refusing(t)
		stopped := o.waiting(o.branch(1, nobody))
		o.forceStop(stopped)
		lost := o.waiting(o.branch(2, nobody))
		o.submitAgain(lost)
		contradictory := o.waiting(o.branch(4, nobody), o.branch(8, o.Internal))
		o.forceStop(contradictory)
		waiting := o.waiting(o.branch(16, nobody))
		o.forgotten("forgotten", 32)
		require.Equal(t, [3]int64{1000 - 63, 63 - 8, 8}, o.sums())

		out, _ := o.tcckit(0, "barrier", "stuck", "--older-than=1ms")
		require.Equal(t, "failed: aborted, calls nobody any more", coordinatorColumn(t, out, stopped))
		require.Equal(t, "succeed: committed, calls nobody any more", coordinatorColumn(t, out, lost))
		require.Equal(t, "failed, but branches ended the other way", coordinatorColumn(t, out, contradictory))
		require.Regexp(t, `^submitted, calls branch 01 next, again in (2m0s|1m\d+s)$`, coordinatorColumn(t, out, waiting))
		require.Equal(t, "unknown to the coordinator", coordinatorColumn(t, out, "forgotten"))

		out, log := o.resolve(0)
		require.Contains(t, out, "stuck: 5; in progress: 1, of which the coordinator was asked to try again: 0; committed: 1; aborted: 1; unknown to the coordinator: 1; ended both ways: 1; coordinator away: 0\n")
		require.Regexp(t, stopped+`\s+01\s+cancel\s+TRIED -> CANCELLED`, out)
		require.Regexp(t, lost+`\s+01\s+confirm\s+TRIED -> CONFIRMED`, out)
		require.Contains(t, log, "a branch was finished in the coordinator's place")
		require.Contains(t, log, "a person must decide")
		require.Equal(t, [3]int64{1000 - 62, 62 - 10, 10}, o.sums())

		// What a person may not decide without force, and what they may.
		_, log = o.resolve(1, "--gid="+waiting, "--cancel", "--reason=x")
		require.Contains(t, log, "still at it")
		_, log = o.resolve(1, "--gid="+stopped, "--confirm", "--reason=x")
		require.Contains(t, log, "decided otherwise")
		_, log = o.resolve(1, "--gid="+stopped, "--confirm", "--reason=x", "--force")
		require.Contains(t, log, "CANCELLED and cannot be confirmed any more")
		_, log = o.resolve(1, "--gid=forgotten", "--confirm", "--reason=x", "--dtm-http=http://"+nobody)
		require.Contains(t, log, "gives no answer")
		_, log = o.resolve(1, "--gid=nobodys", "--confirm", "--reason=x")
		require.Contains(t, log, "no such branch")
		for _, bad := range [][]string{
			{"--gid=forgotten", "--cancel", "--confirm", "--reason=x"},
			{"--gid=forgotten", "--reason=x"},
			{"--gid=forgotten", "--cancel"},
			{"--reason=x"},
		} {
			o.resolve(2, bad...)
		}
		out, _ = o.resolve(0, "--gid=forgotten", "--cancel", "--reason=CASE-118", "--operator=ada")
		require.Contains(t, out, "TRIED -> CANCELLED")
		out, _ = o.resolve(0, "--gid="+contradictory, "--branch=01", "--confirm", "--reason=the other branch is confirmed")
		require.Contains(t, out, "TRIED -> CONFIRMED")
		require.Equal(t, [3]int64{1000 - 30, 16, 14}, o.sums())

		out, _ = o.tcckit(0, "barrier", "resolutions")
		require.Regexp(t, `forgotten\s+01\s+cancel\s+TRIED\s+CANCELLED\s+1\s+ada\s+CASE-118`, out)
		out, _ = o.tcckit(0, "barrier", "resolutions", "--json")
		var records []struct{ GID, Phase, Basis, Before, After string }
		require.NoError(t, json.Unmarshal([]byte(out), &records))
		require.Len(t, records, 4)
		out, _ = o.tcckit(0, "barrier", "resolutions", "--open")
		require.Equal(t, "none is recorded\n", out)

		out, _ = o.tcckit(0, "tx", "retry", "--reason=x", "--due-after=10m")
		require.Equal(t, "the coordinator tries 0 transactions again that would have waited for more than 10m0s\n", out)
		out, _ = o.tcckit(0, "tx", "retry", "--reason=x")
		require.Contains(t, out, "the coordinator tries 1 transactions again")
		_, log = o.tcckit(1, "tx", "retry", "--reason=x", "--dtm-http=http://"+nobody)
		require.Contains(t, log, "the coordinator is not available")
	})
}

// A service that knows the coordinator finds its orphans by itself, and says so.
func TestServeResolvesOrphans(t *testing.T) {
	t.Parallel()
	onEachOrphanage(t, []string{"--dtm-http=DTM", "--resolve-interval=200ms", "--stuck-after=1ms", "--sweep-interval=200ms"}, func(o *orphanage) {
		t := o.t
		nobody := refusing(t)
		o.forgotten("forgotten", 32)
		waiting := o.waiting(o.branch(16, nobody))
		stopped, lost := o.waiting(o.branch(1, nobody)), o.waiting(o.branch(2, nobody))
		require.Equal(t, [3]int64{1000 - 51, 51, 0}, o.sums())
		o.forceStop(stopped)
		o.submitAgain(lost)
		o.eventually("its orphans are finished", func() bool { return o.sums() == [3]int64{1000 - 50, 48, 2} })
		o.eventually("its metrics say so", func() bool {
			_, metrics := get(t, "http://"+o.Admin+"/metrics")
			for _, want := range []string{
				`tcckit_barrier_stuck{participant="account",verdict="in_progress"} 1`,
				`tcckit_barrier_stuck{participant="account",verdict="forgotten"} 1`,
				`tcckit_barrier_stuck_oldest_age_seconds{participant="account"}`,
				`tcckit_barrier_resolutions_total{basis="coordinator",participant="account",phase="confirm",result="done"} 1`,
				`tcckit_barrier_resolutions_total{basis="coordinator",participant="account",phase="cancel",result="done"} 1`,
				`tcckit_barrier_sweep_duration_seconds_count{participant="account"}`,
				`tcckit_barrier_sweep_scanned_total{participant="account"}`,
			} {
				if !strings.Contains(metrics, want) {
					return false
				}
			}
			return true
		})
		require.Contains(t, o.log.String(), "a branch was finished in the coordinator's place")
		info, err := o.client.Query(t.Context(), waiting)
		require.NoError(t, err)
		require.Equal(t, coordinator.Submitted, info.Status)
	})
}

// A service that does not know the coordinator counts what is stuck, and leaves
// it alone.
func TestServeCountsWhatIsStuck(t *testing.T) {
	t.Parallel()
	onEachOrphanage(t, []string{"--resolve-interval=200ms", "--stuck-after=1ms"}, func(o *orphanage) {
		o.forgotten("forgotten", 32)
		o.forceStop(o.waiting(o.branch(1, refusing(o.t))))
		o.eventually("its metrics say so", func() bool {
			_, metrics := get(o.t, "http://"+o.Admin+"/metrics")
			return strings.Contains(metrics, `tcckit_barrier_stuck{participant="account",verdict="coordinator_away"} 2`)
		})
		o.eventually("its log says so", func() bool { return strings.Contains(o.log.String(), "not told where the coordinator is") })
		require.Equal(o.t, [3]int64{1000 - 33, 33, 0}, o.sums())
	})
}
