package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/tcc"
)

// TestMutualTLS places an order in a shop in which everybody, DTM too, shows a certificate, and then makes the
// calls that must be refused there: each is, and nothing is written, in no table and not at DTM.
func TestMutualTLS(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newSecureShop(t, store.open(t))
		buyer := s.customer(t, confirmed)
		buyer.orders = orderpb.NewOrderServiceClient(dialBy(t, s.services[order].public, s.secure.nobody(t)))
		buyer.again(t)
		s.settled(t)
		buyer.done(t)

		before := s.written(t)
		for _, c := range append(s.wrongCallers(t, buyer), s.unsigned(t, buyer)...) {
			t.Run(c.name, c.run)
		}
		t.Run("connections", s.refusesConnections)
		require.Equal(t, before, s.written(t))
		s.tellsOfRefusals(t)
	})
}

// connect is a connection to a service's internal address with a certificate of that identity.
func (s *shop) connect(t testing.TB, service, identity string) *grpc.ClientConn {
	t.Helper()
	return dialBy(t, s.services[service].internal, s.secure.ca.Source(t, identity).Client())
}

// wrongCallers are calls of branches, signed as they must be, with a certificate that does not permit them.
func (s *shop) wrongCallers(t *testing.T, buyer *customer) (cases []badInput) {
	mayNot := map[tcc.Phase][]string{
		tcc.Try: {dtm, ops, account, stock}, tcc.Confirm: {order, ops, account, stock}, tcc.Cancel: {order, ops, account, stock},
	}
	for _, service := range services() {
		for phase, identities := range mayNot {
			full := fullMethod(service, phase)
			for _, identity := range identities {
				conn, request := s.connect(t, service, identity), branchRequest(service, buyer)
				name := method(service, phase) + " by " + identity
				cases = append(cases,
					badInput{name, conn, full, request, s.branch("g", phase, full), codes.PermissionDenied, ""},
					badInput{name + " without a transaction", conn, full, request, anybody, codes.PermissionDenied, ""},
					badInput{name + " as another phase", conn, full, request, s.branch("g", phase%3+1, full), codes.PermissionDenied, ""})
			}
		}
	}
	return cases
}

// unsigned are calls by who may make them, of a transaction that nobody with a key has begun.
func (s *shop) unsigned(t *testing.T, buyer *customer) (cases []badInput) {
	for _, service := range services() {
		for phase, identity := range map[tcc.Phase]string{tcc.Try: order, tcc.Confirm: dtm, tcc.Cancel: dtm} {
			full := fullMethod(service, phase)
			conn, request := s.connect(t, service, identity), branchRequest(service, buyer)
			cases = append(cases,
				badInput{method(service, phase) + " without a signature", conn, full, request, signed("g", phase, full, ""), codes.PermissionDenied, ""},
				badInput{method(service, phase) + " as another phase", conn, full, request, s.branch("g", phase%3+1, full), codes.InvalidArgument, ""})
		}
	}
	return cases
}

// nobody are the credentials of a client that trusts the shop's CA and has no certificate.
func (s *security) nobody(t testing.TB) credentials.TransportCredentials {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(s.ca.PEM()))
	return credentials.NewTLS(&tls.Config{RootCAs: roots})
}

// refusesConnections tries who must not even get a connection, at each address.
func (s *shop) refusesConnections(t *testing.T) {
	strangers := map[string]credentials.TransportCredentials{
		"plaintext": insecure.NewCredentials(), "no certificate": s.secure.nobody(t),
		"a certificate of another CA": certstest.NewAuthority(t).Source(t, dtm, order).Client(),
	}
	for _, service := range services() {
		for who, creds := range strangers {
			_, err := healthpb.NewHealthClient(dialBy(t, s.services[service].internal, creds)).Check(bounded(t), &healthpb.HealthCheckRequest{})
			require.Equal(t, codes.Unavailable, status.Code(err), "%s at %s: %v", who, service, err)
		}
		_, err := healthpb.NewHealthClient(dial(t, s.services[service].public)).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "plaintext at the public address of %s: %v", service, err)
	}
	for who, creds := range strangers {
		_, err := dtmgpb.NewDtmClient(dialBy(t, s.dtm.GRPCAddr(), creds)).NewGid(bounded(t), &emptypb.Empty{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%s at DTM: %v", who, err)
	}
	_, err := dtmgpb.NewDtmClient(dialBy(t, s.dtm.GRPCAddr(), s.secure.ca.Source(t, account).Client())).NewGid(bounded(t), &emptypb.Empty{})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "who does not begin transactions, at DTM: %v", err)
	require.Error(t, get(bounded(t), strings.Replace(s.dtm.HTTPURL(), "https:", "http:", 1)+"/api/dtmsvr/all", nil))
	require.Error(t, getBy(bounded(t), certstest.NewAuthority(t).Source(t, ops).HTTPClient(bound).Transport, s.dtm.HTTPURL()+"/api/dtmsvr/all", nil))
}

// tellsOfRefusals looks into metrics and log of a service that has refused calls.
func (s *shop) tellsOfRefusals(t *testing.T) {
	var metrics []string // those of this program
	require.NoError(t, get(bounded(t), "http://"+s.services[account].admin+"/metrics", func(body io.Reader) error {
		text, err := io.ReadAll(body)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "tcckit_branch_refused") || strings.HasPrefix(line, "tcckit_tls") {
				metrics = append(metrics, strings.TrimSpace(line))
			}
		}
		return err
	}))
	for _, phase := range []string{"try", "confirm", "cancel"} {
		require.Contains(t, metrics, `tcckit_branch_refused_total{phase="`+phase+`"} 12`)
	}
	require.Contains(t, strings.Join(metrics, "\n"), "tcckit_tls_certificate_not_after_seconds 1.")
	log, err := os.ReadFile(s.services[account].logFile)
	require.NoError(t, err)
	require.Regexp(t, `"branch call refused[^\n]*"phase":"confirm","identities":\["stock"\],"remote":"127\.0\.0\.1:\d+","setting":"--tls-coordinators"`, string(log))
}

// A participant that finishes a branch itself calls itself: with its own certificate, which nobody else has.
func TestAParticipantResolvesByItsOwnCertificate(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := buildSecureShop(t, store.open(t), order, account, ops)
		s.services[account].args = append(s.services[account].args, "--dtm-http="+s.dtm.HTTPURL(), "--resolve-interval=100ms", "--stuck-after=1s")
		s.startAll(t)
		buyer := s.customer(t, confirmed)
		// An initiator that registers no branch, so that DTM calls nobody.
		source := s.secure.ca.Source(t, order)
		client, err := coordinator.New(coordinator.Config{
			Conn: dialBy(t, s.dtm.GRPCAddr(), source.Client()), HTTPURL: s.dtm.HTTPURL(), HTTPClient: source.HTTPClient(bound), Keys: s.keys,
		})
		require.NoError(t, err)
		ctx := bounded(t)
		tx, err := client.Begin(ctx)
		require.NoError(t, err)
		full := fullMethod(account, tcc.Try)
		_, err = accountpb.NewAccountServiceClient(s.connect(t, account, order)).
			TryDebit(s.branch(tx.GID(), tcc.Try, full)(ctx), &accountpb.DebitRequest{AccountId: buyer.account, Amount: money(buyer.price)})
		require.NoError(t, err)
		require.Equal(t, barrier.Tried, s.dbs[account].state(t, tx.GID()))
		require.NoError(t, tx.Abort(ctx, "nobody was registered"))
		eventually(t, "account has cancelled it", func(context.Context) error {
			if state := s.dbs[account].state(t, tx.GID()); state != barrier.Cancelled {
				return fmt.Errorf("its branch is %s", state)
			}
			return nil
		})
		s.settled(t)
	})
}
