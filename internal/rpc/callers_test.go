package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/tcc"
)

// guarded is an account service that takes Try from "order", Confirm and Cancel from "dtm".
type guarded struct {
	*served
	ca   *certstest.Authority
	self *certs.Source
}

func serveGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{ca: certstest.NewAuthority(t)}
	g.self = g.ca.Source(t, "account")
	g.served = serve(t, rpc.ServerConfig{
		Credentials: g.self.Server(),
		Callers:     &rpc.Callers{Initiators: []string{"order", "spiffe://shop/order"}, Coordinators: []string{"dtm"}, Own: g.self.Own},
	}, time.Second, &accounts{})
	return g
}

// as is a client with a certificate of these names.
func (g *guarded) as(t *testing.T, names ...string) accountpb.AccountServiceClient {
	t.Helper()
	return accountpb.NewAccountServiceClient(dialWith(t, g.addr, rpc.DialConfig{Credentials: g.ca.Source(t, names...).Client()}))
}

func dialWith(t *testing.T, target string, cfg rpc.DialConfig) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(target, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func delivery(ctx context.Context, phase tcc.Phase) context.Context {
	return tcc.Outgoing(ctx, tcc.Branch{GID: "g", ID: "01", Phase: phase}, "")
}

// phases are the calls of the three phases, with their metadata.
func phases(ctx context.Context, c accountpb.AccountServiceClient) map[tcc.Phase]error {
	req := &accountpb.DebitRequest{AccountId: "a", Amount: deposit.GetAmount()}
	_, try := c.TryDebit(delivery(ctx, tcc.Try), req)
	_, confirm := c.ConfirmDebit(delivery(ctx, tcc.Confirm), req)
	_, cancel := c.CancelDebit(delivery(ctx, tcc.Cancel), req)
	return map[tcc.Phase]error{tcc.Try: try, tcc.Confirm: confirm, tcc.Cancel: cancel}
}

func TestWhoMayCallWhichPhase(t *testing.T) {
	t.Parallel()
	g := serveGuarded(t)
	for name, test := range map[string]struct {
		names []string
		may   []tcc.Phase
	}{
		"an initiator":                        {[]string{"order", "order.shop.svc"}, []tcc.Phase{tcc.Try}},
		"an initiator by URI":                 {[]string{"spiffe://shop/order"}, []tcc.Phase{tcc.Try}},
		"the coordinator":                     {[]string{"dtm.shop.svc", "dtm"}, []tcc.Phase{tcc.Confirm, tcc.Cancel}},
		"both":                                {[]string{"order", "dtm"}, []tcc.Phase{tcc.Try, tcc.Confirm, tcc.Cancel}},
		"another participant":                 {[]string{"stock"}, nil},
		"another process of the same name":    {[]string{"account"}, nil},
		"a name that only begins like one":    {[]string{"dtm.elsewhere"}, nil},
		"a name in other letters":             {[]string{"DTM", "Order"}, nil},
		"a wildcard that would cover a name":  {[]string{"*.shop.svc", "*"}, nil},
		"a URI that only looks like the name": {[]string{"other://dtm"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client := g.as(t, test.names...)
			for phase, err := range phases(t.Context(), client) {
				setting := "--tls-coordinators"
				if phase == tcc.Try {
					setting = "--tls-initiators"
				}
				allowed := false
				for _, p := range test.may {
					allowed = allowed || p == phase
				}
				if allowed {
					require.NoError(t, err, phase)
					continue
				}
				requireStatus(t, err, codes.PermissionDenied, setting)
				require.ErrorContains(t, err, test.names[0], "who was refused")
			}
			_, err := client.GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
			require.NoError(t, err, "what is no phase is for every certificate")
		})
	}
}

// It is the method that decides, whatever the metadata says or leaves out.
func TestMetadataOpensNothing(t *testing.T) {
	t.Parallel()
	g := serveGuarded(t)
	order, dtm := g.as(t, "order"), g.as(t, "dtm")
	req := &accountpb.DebitRequest{AccountId: "a", Amount: deposit.GetAmount()}
	op := func(values ...string) context.Context {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "dtm-gid", "g", "dtm-branch_id", "01", "dtm-trans_type", "tcc")
		for _, v := range values {
			ctx = metadata.AppendToOutgoingContext(ctx, "dtm-op", v)
		}
		return ctx
	}
	for _, ctx := range []context.Context{t.Context(), op("try"), op("confirm"), op("try", "confirm"), op("action"), op()} {
		_, err := order.ConfirmDebit(ctx, req)
		requireStatus(t, err, codes.PermissionDenied, "order may not call")
		_, err = order.CancelDebit(ctx, req)
		requireStatus(t, err, codes.PermissionDenied, "order may not call")
		_, err = dtm.TryDebit(ctx, req)
		requireStatus(t, err, codes.PermissionDenied, "dtm may not call")
	}
	// Who may call the method may not pass it off as another phase, either.
	_, err := order.TryDebit(op("confirm"), req)
	requireStatus(t, err, codes.InvalidArgument, "the call says that it is a confirm")
	_, err = dtm.ConfirmDebit(op("cancel"), req)
	requireStatus(t, err, codes.InvalidArgument, "the call says that it is a cancel")
	_, err = dtm.GetAccount(op("confirm"), &accountpb.GetAccountRequest{AccountId: "a"})
	requireStatus(t, err, codes.InvalidArgument, "is no branch")
}

func TestAProcessMayCallItself(t *testing.T) {
	t.Parallel()
	g := serveGuarded(t)
	self := accountpb.NewAccountServiceClient(dialWith(t, g.addr, rpc.DialConfig{Credentials: g.self.Loopback()}))
	for phase, err := range phases(t.Context(), self) {
		require.NoError(t, err, phase)
	}
}

func TestNoCertificateNoCall(t *testing.T) {
	t.Parallel()
	g := serveGuarded(t)
	for name, cfg := range map[string]rpc.DialConfig{
		"plaintext":  {},
		"another CA": {Credentials: certstest.NewAuthority(t).Source(t, "dtm").Client()},
	} {
		conn := dialWith(t, g.addr, cfg)
		_, err := accountpb.NewAccountServiceClient(conn).ConfirmDebit(delivery(t.Context(), tcc.Confirm), &accountpb.DebitRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%s: %v", name, err)
		_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%s: %v", name, err)
	}
}

func TestCallersNeedCertificates(t *testing.T) {
	t.Parallel()
	_, err := rpc.NewServer(rpc.ServerConfig{Callers: &rpc.Callers{}})
	require.ErrorContains(t, err, "TLS")
	_, err = rpc.NewServer(rpc.ServerConfig{Callers: &rpc.Callers{}, Public: true, Credentials: certstest.NewAuthority(t).Source(t, "a").Public()})
	require.ErrorContains(t, err, "internal server")
}
