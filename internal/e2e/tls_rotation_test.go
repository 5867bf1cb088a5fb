package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
)

// TestCertificatesAreReplacedUnderLoad replaces the CA and all certificates of a shop, in the three steps that
// this takes, while clients place orders, each over a connection of its own: not one call fails. Then only the new
// CA's certificates are worth anything.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newSecureShop(t, store.open(t))
		before, after := s.secure.ca, certstest.NewAuthority(t)
		load := s.strictLoad(t, 3)
		load.progress(t, 20)

		both := certstest.Bundle(before, after)
		for _, f := range s.secure.files {
			certstest.Replace(t, f.CA, both)
		}
		newcomer := s.secure.holding(t, after, before, after)
		s.everywhere(t, "the new CA is believed", func(ask func(credentials.TransportCredentials) error) error { return ask(newcomer) })
		s.secure.opsBelieves(t, after)
		load.progress(t, 20)

		for name, f := range s.secure.files {
			certstest.Write(t, f, after.Issue(t, name), before, after)
		}
		purist := s.secure.holding(t, after, after)
		s.everywhere(t, "certificates of the new CA are shown", func(ask func(credentials.TransportCredentials) error) error { return ask(purist) })
		load.progress(t, 20)

		for _, f := range s.secure.files {
			certstest.Replace(t, f.CA, after.PEM())
		}
		leftover := s.secure.holding(t, before, before, after)
		s.everywhere(t, "the old CA is not believed any more", func(ask func(credentials.TransportCredentials) error) error {
			if ask(leftover) == nil {
				return errors.New("it is")
			}
			return nil
		})
		load.progress(t, 20)
		load.end(t)

		// Connections between the services, which stand since before, are made anew.
		ctx := bounded(t)
		for _, name := range services() {
			require.NoError(t, s.services[name].stop(ctx))
			s.services[name].start(t)
		}
		load.customer.requestID = "by-new-certificates-alone"
		load.customer.again(t)
		s.settled(t)
		require.Equal(t, load.done.Load()+1, s.balance(t, load.customer.account, load.customer.deposited, load.customer.sku, load.customer.put))
	})
}

// holding are the credentials of somebody with a certificate of one CA who believes those listed.
func (s *security) holding(t *testing.T, of *certstest.Authority, believed ...*certstest.Authority) credentials.TransportCredentials {
	t.Helper()
	pair, files := of.Issue(t, ops), certstest.In(t.TempDir())
	// A Source wants its own certificate to be of a CA that it believes.
	certstest.Write(t, files, pair, append([]*certstest.Authority{of}, believed...)...)
	return certstest.Open(t, files).Client()
}

// everywhere waits until something holds at each address that demands certificates. Ask asks there.
func (s *shop) everywhere(t *testing.T, what string, holds func(ask func(credentials.TransportCredentials) error) error) {
	t.Helper()
	askers := map[string]func(context.Context, *grpc.ClientConn) error{
		s.dtm.GRPCAddr(): func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := dtmgpb.NewDtmClient(conn).NewGid(ctx, &emptypb.Empty{})
			return err
		},
	}
	for _, name := range services() {
		askers[s.services[name].internal] = func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
			return err
		}
	}
	for addr, ask := range askers {
		eventually(t, what+" at "+addr, func(ctx context.Context) error {
			return holds(func(creds credentials.TransportCredentials) error { return once(ctx, addr, creds, ask) })
		})
	}
}

// once asks over a connection of its own.
func once(ctx context.Context, addr string, creds credentials.TransportCredentials, ask func(context.Context, *grpc.ClientConn) error) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	return errors.Join(ask(ctx, conn), conn.Close())
}

// opsBelieves waits until the test's own certificate files, as the clients use them, have that CA.
func (s *security) opsBelieves(t *testing.T, ca *certstest.Authority) {
	t.Helper()
	l := rpctest.Listener(t)
	rpctest.Serve(t, l, rpc.ServerConfig{Credentials: ca.Source(t, "anybody").Public()})
	eventually(t, "ops believes the new CA", func(ctx context.Context) error {
		return once(ctx, l.Addr().String(), s.client(), func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
			return err
		})
	})
}

// orderPause is the least time between two orders of a client.
const orderPause = 30 * time.Millisecond

// strictLoad are clients that place one order after another, each once and over a connection of its own, and stop
// at the first error.
type strictLoad struct {
	*load
	customer *customer
}

func (s *shop) strictLoad(t *testing.T, clients int) *strictLoad {
	t.Helper()
	c := s.customer(t, confirmed)
	s.open(t, c.account+"-rich", 10_000_000)
	s.put(t, c.sku+"-plenty", 1_000_000, 1)
	c.account, c.deposited, c.sku, c.put, c.price = c.account+"-rich", 10_000_000, c.sku+"-plenty", 1_000_000, 1
	return &strictLoad{customer: c, load: startLoad(t, clients, orderPause, func(i int) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			one := *c
			one.requestID = fmt.Sprintf("%d-%d", i, n)
			return s.placeOnce(ctx, &one)
		}
	})}
}

// placeOnce places an order, which may be answered as PENDING.
func (s *shop) placeOnce(ctx context.Context, c *customer) error {
	return once(ctx, s.services[order].public, s.secure.client(), func(ctx context.Context, conn *grpc.ClientConn) error {
		there := *c
		there.orders = orderpb.NewOrderServiceClient(conn)
		return there.ask(ctx).err
	})
}
