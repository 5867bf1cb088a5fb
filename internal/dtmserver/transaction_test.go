package dtmserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/internal/dtmserver"
)

// initiator speaks DTM's API as a client of the test.
type initiator struct {
	t      *testing.T
	dtm    dtmgpb.DtmClient
	server *dtmserver.Server
	http   http.RoundTripper
}

func newInitiator(t *testing.T, server *dtmserver.Server) initiator {
	t.Helper()
	return newInitiatorWith(t, server, insecure.NewCredentials(), &http.Transport{DisableKeepAlives: true})
}

func newInitiatorWith(t *testing.T, server *dtmserver.Server, creds credentials.TransportCredentials, http http.RoundTripper) initiator {
	t.Helper()
	conn, err := grpc.NewClient(server.GRPCAddr(), grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return initiator{t, dtmgpb.NewDtmClient(conn), server, http}
}

// tcc is the request about a transaction, the same in Prepare, Submit and Abort.
func tcc(gid string) *dtmgpb.DtmRequest {
	return &dtmgpb.DtmRequest{Gid: gid, TransType: "tcc", TransOptions: &dtmgpb.DtmTransOptions{
		TimeoutToFail: 60, RetryInterval: 1, RequestTimeout: 30,
	}}
}

// slow is tcc, but DTM does not repeat a call within the time of a test unless it is told to.
func slow(gid string) *dtmgpb.DtmRequest {
	r := tcc(gid)
	r.TransOptions.RetryInterval = 60
	return r
}

// prepare begins a transaction with two branches, 01 and 02, and returns its gid.
func (i initiator) prepare(p *participant) string {
	i.t.Helper()
	return i.prepareAs(p, tcc)
}

func (i initiator) prepareAs(p *participant, request func(gid string) *dtmgpb.DtmRequest) string {
	i.t.Helper()
	ctx := bounded(i.t)
	gid := uuid.NewString()
	_, err := i.dtm.Prepare(ctx, request(gid))
	require.NoError(i.t, err)
	for _, branch := range []string{"01", "02"} {
		_, err := i.dtm.RegisterBranch(ctx, &dtmgpb.DtmBranchRequest{
			Gid: gid, TransType: "tcc", BranchID: branch,
			Data: map[string]string{"confirm": p.url("Confirm"), "cancel": p.url("Cancel")},
		})
		require.NoError(i.t, err)
	}
	return gid
}

func (i initiator) submit(gid string) error {
	_, err := i.dtm.Submit(bounded(i.t), tcc(gid))
	return err
}

// transaction is what DTM knows of one; the zero value: nothing.
type transaction struct {
	Status           string `json:"status"`
	NextCronInterval int64  `json:"next_cron_interval"`
}

func (i initiator) transaction(gid string) transaction {
	i.t.Helper()
	var answer struct {
		Transaction transaction `json:"transaction"`
	}
	i.get("/api/dtmsvr/query?gid="+url.QueryEscape(gid), &answer)
	return answer.Transaction
}

// status asks DTM for a transaction's status; "" means that it knows no such transaction.
func (i initiator) status(gid string) string {
	i.t.Helper()
	return i.transaction(gid).Status
}

func (i initiator) awaitStatus(gid, want string) {
	i.t.Helper()
	require.Eventually(i.t, func() bool { return i.status(gid) == want }, bound, 20*time.Millisecond, "%s never %s", gid, want)
}

// awaitStore waits until the server reaches its store, which it may remember for a second as being away.
func (i initiator) awaitStore() {
	i.t.Helper()
	require.Eventually(i.t, func() bool {
		_, response := fetch(i.t, i.server.HTTPURL()+"/api/dtmsvr/query?gid=none")
		return response.StatusCode == http.StatusOK
	}, bound, 20*time.Millisecond)
}

// get reads a JSON answer of DTM's HTTP API.
func (i initiator) get(path string, into any) {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), bound)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, i.server.HTTPURL()+path, nil)
	require.NoError(i.t, err)
	response, err := i.http.RoundTrip(request)
	require.NoError(i.t, err)
	defer response.Body.Close()
	require.Equal(i.t, http.StatusOK, response.StatusCode)
	require.NoError(i.t, json.NewDecoder(response.Body).Decode(into))
}

// prepareLong is prepare with one branch and long values.
func (i initiator) prepareLong(p *participant) string {
	i.t.Helper()
	gid := uuid.NewString()
	request := tcc(gid)
	request.TransOptions.BranchHeaders = map[string]string{"x-long": long(3000)}
	_, err := i.dtm.Prepare(bounded(i.t), request)
	require.NoError(i.t, err)
	payload, err := proto.Marshal(wrapperspb.String(long(200_000)))
	require.NoError(i.t, err)
	_, err = i.dtm.RegisterBranch(bounded(i.t), &dtmgpb.DtmBranchRequest{
		Gid: gid, TransType: "tcc", BranchID: "01", BusiPayload: payload,
		Data: map[string]string{"confirm": p.url("Confirm"), "cancel": p.url("Cancel")},
	})
	require.NoError(i.t, err)
	return gid
}

func long(n int) string { return strings.Repeat("x", n) }
