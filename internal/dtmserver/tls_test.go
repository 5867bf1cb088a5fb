package dtmserver_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/internal/dtmserver"
)

// secured is a server with a certificate that lets order and ops in, and an initiator that is order.
type secured struct {
	initiator

	ca *certstest.Authority
}

func startSecured(t *testing.T, env ...string) secured {
	t.Helper()
	ca := certstest.NewAuthority(t)
	server, err := tryStart(t, ours(), func(c *dtmserver.Config) {
		c.TLS = &dtmserver.TLS{Server: ca.Files(t, "dtm"), Client: ca.Source(t, "ops")}
		c.Env = append(append(c.Env, "TLS_CLIENTS=order,ops"), env...)
	})
	require.NoError(t, err)
	order := ca.Source(t, "order")
	return secured{newInitiatorWith(t, server, order.Client(), order.HTTPClient(bound).Transport), ca}
}

// ask calls the server's gRPC API once.
func (s secured) ask(creds credentials.TransportCredentials) error {
	conn, err := grpc.NewClient(s.server.GRPCAddr(), grpc.WithTransportCredentials(creds))
	require.NoError(s.t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), bound)
	defer cancel()
	_, err = dtmgpb.NewDtmClient(conn).NewGid(ctx, &emptypb.Empty{})
	return err
}

func (s secured) askHTTP(client *http.Client) (int, error) {
	request, err := http.NewRequestWithContext(bounded(s.t), http.MethodGet, s.server.HTTPURL()+"/api/dtmsvr/all", nil)
	require.NoError(s.t, err)
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	probe := freeAddr(t)
	s := startSecured(t, "PROBE_ADDR="+probe)
	p := newParticipantWith(t, s.ca.Source(t, "stock").Server())
	gid := s.prepare(p)
	require.NoError(t, s.submit(gid))
	s.awaitStatus(gid, "succeed")
	require.Equal(t, []string{"02 Confirm", "01 Confirm"}, p.received(gid))
	require.Equal(t, []string{"dtm", "dtm"}, p.callers, "by whose certificate DTM calls")

	metrics, _ := fetch(t, "http://"+probe+"/metrics")
	require.Regexp(t, `(?m)^tcckit_tls_certificate_not_after_seconds 1\.`, metrics)
	require.Regexp(t, `(?m)^tcckit_tls_reload_failures_total 0$`, metrics)
	t.Run("another identity", func(t *testing.T) {
		account := s.ca.Source(t, "account")
		err := s.ask(account.Client())
		require.Equal(t, codes.PermissionDenied, status.Code(err))
		require.ErrorContains(t, err, `the certificate of ["account"] may not call this server`)
		code, err := s.askHTTP(account.HTTPClient(bound))
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, code)
		require.Eventually(t, func() bool { return strings.Contains(s.server.Log(), "TLS_CLIENTS: refused a call from 127.0.0.1:") }, bound, 10*time.Millisecond)
	})
	t.Run("another CA", func(t *testing.T) {
		stranger := certstest.NewAuthority(t)
		files := s.ca.Files(t, "ops") // whose own certificate is replaced by one of another CA that it trusts, too
		certstest.Write(t, files, stranger.Issue(t, "ops"), stranger, s.ca)
		require.Equal(t, codes.Unavailable, status.Code(s.ask(certstest.Open(t, files).Client())))
		_, err := s.askHTTP(certstest.Open(t, files).HTTPClient(bound))
		require.Error(t, err)
	})
	t.Run("no TLS", func(t *testing.T) {
		require.Equal(t, codes.Unavailable, status.Code(s.ask(insecure.NewCredentials())))
	})
	t.Run("allowed", func(t *testing.T) {
		require.NoError(t, s.ask(s.ca.Source(t, "x", "ops").Client()))
		code, err := s.askHTTP(s.ca.Source(t, "order").HTTPClient(bound))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, code)
	})
}

// A participant that cannot show who it is gets nothing; the log names it; and the transaction goes on when it can.
func TestAParticipantWithAnotherCertificate(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	p := newParticipantWith(t, certstest.NewAuthority(t).Source(t, "stock").Server())
	gid := s.prepareAs(p, brief)
	_, err := s.dtm.Submit(bounded(t), brief(gid))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return s.transaction(gid).NextCronInterval > brief(gid).GetTransOptions().GetRetryInterval()
	}, bound, 10*time.Millisecond)
	for _, want := range []string{"will be retried: confirm of branch 02 of " + gid + ": participant " + p.url("Confirm"), "certificate signed by unknown authority"} {
		require.Eventually(t, func() bool { return strings.Contains(s.server.Log(), want) }, bound, 10*time.Millisecond, want)
	}
	require.Empty(t, p.received(gid))

	p.stop()
	p.creds = s.ca.Source(t, "stock").Server()
	p.serve(t)
	s.reset(gid)
	s.awaitStatus(gid, "succeed")
}

func TestParticipantsWithoutTLS(t *testing.T) {
	t.Parallel()
	s := startSecured(t, "PARTICIPANT_TLS=off")
	p := newParticipant(t)
	gid := s.prepare(p)
	require.NoError(t, s.submit(gid))
	s.awaitStatus(gid, "succeed")
}
