package coordinator_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/coordinator"
)

// standIn does what DTM does for one transaction after another, in memory, for
// tests of the client alone and for the example, which need no server then.
// What DTM really does is held by TestDTM.
type standIn struct {
	dtmgpb.UnimplementedDtmServer

	grpcAddr, httpURL string
	tasks             sync.WaitGroup

	mu           sync.Mutex
	transactions map[string]*standInTransaction
}

type standInTransaction struct {
	Status   coordinator.Status `json:"status"`
	GID      string             `json:"gid"`
	Reason   string             `json:"rollback_reason"`
	branches []*dtmgpb.DtmBranchRequest
	headers  map[string]string
}

func newStandIn(t testing.TB) *standIn {
	t.Helper()
	s, stop, err := startStandIn()
	require.NoError(t, err)
	t.Cleanup(stop)
	return s
}

func startStandIn() (*standIn, func(), error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s := &standIn{grpcAddr: listener.Addr().String(), transactions: make(map[string]*standInTransaction)}
	web := httptest.NewServer(http.HandlerFunc(s.query))
	s.httpURL = web.URL
	server := grpc.NewServer()
	dtmgpb.RegisterDtmServer(server, s)
	s.tasks.Go(func() { _ = server.Serve(listener) })
	return s, func() {
		web.Close()
		server.Stop()
		s.tasks.Wait()
	}, nil
}

func (s *standIn) status(gid string) coordinator.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tx := s.transactions[gid]; tx != nil {
		return tx.Status
	}
	return ""
}

// branches returns the ids of the registered branches.
func (s *standIn) branches(gid string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, b := range s.transactions[gid].branches {
		ids = append(ids, b.GetBranchID())
	}
	return ids
}

func (s *standIn) query(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"transaction": s.transactions[r.URL.Query().Get("gid")]})
}

func (s *standIn) Prepare(_ context.Context, in *dtmgpb.DtmRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tx := s.transactions[in.GetGid()]; tx == nil {
		s.transactions[in.GetGid()] = &standInTransaction{
			Status: coordinator.Prepared, GID: in.GetGid(), headers: in.GetTransOptions().GetBranchHeaders(),
		}
	} else if tx.Status != coordinator.Prepared {
		return nil, status.Errorf(codes.Aborted, "current status '%s', cannot prepare", tx.Status)
	}
	return &emptypb.Empty{}, nil
}

func (s *standIn) RegisterBranch(_ context.Context, in *dtmgpb.DtmBranchRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := s.transactions[in.GetGid()]
	if tx == nil || tx.Status != coordinator.Prepared {
		return nil, status.Error(codes.Aborted, "no such transaction is prepared")
	}
	tx.branches = append(tx.branches, in)
	return &emptypb.Empty{}, nil
}

func (s *standIn) Submit(_ context.Context, in *dtmgpb.DtmRequest) (*emptypb.Empty, error) {
	return s.decide(in, coordinator.Submitted, coordinator.Succeeded, "confirm")
}

func (s *standIn) Abort(_ context.Context, in *dtmgpb.DtmRequest) (*emptypb.Empty, error) {
	return s.decide(in, coordinator.Aborting, coordinator.Failed, "cancel")
}

func (s *standIn) decide(in *dtmgpb.DtmRequest, now, then coordinator.Status, op string) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := s.transactions[in.GetGid()]
	if tx == nil || tx.Status != coordinator.Prepared {
		return nil, status.Error(codes.Aborted, "no such transaction is prepared")
	}
	tx.Reason = in.GetRollbackReason()
	if len(tx.branches) == 0 {
		tx.Status = then
		return &emptypb.Empty{}, nil
	}
	tx.Status = now
	s.tasks.Go(func() {
		for i := len(tx.branches) - 1; i >= 0; i-- {
			if err := callBranch(tx.branches[i], op, tx.headers); err != nil {
				return
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		tx.Status = then
	})
	if op == "cancel" {
		tx.Status = then // for tests that look at once
	}
	return &emptypb.Empty{}, nil
}

// callBranch calls a branch as DTM does: the payload as it is, the branch in
// the metadata.
func callBranch(b *dtmgpb.DtmBranchRequest, op string, headers map[string]string) error {
	target, method, _ := strings.Cut(b.GetData()[op], "/")
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	md := metadata.New(headers)
	md.Set("dtm-gid", b.GetGid())
	md.Set("dtm-branch_id", b.GetBranchID())
	md.Set("dtm-op", op)
	md.Set("dtm-trans_type", b.GetTransType())
	ctx := metadata.NewOutgoingContext(context.Background(), md)
	return conn.Invoke(ctx, "/"+method, b.GetBusiPayload(), new([]byte), grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2("proto")}))
}

// rawCodec sends bytes as they are.
type rawCodec struct{ encoding.CodecV2 }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, _ := v.([]byte)
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (rawCodec) Unmarshal(mem.BufferSlice, any) error { return nil }
