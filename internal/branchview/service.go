package branchview

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/barrier/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
)

// Store is what is needed of a barrier's store.
type Store interface {
	Branches(ctx context.Context, gid string) ([]barrier.Branch, error)
}

// Service serves the barriers of the participants of a process. It is safe for
// concurrent use, once all participants are added.
type Service struct {
	pb.UnimplementedBarrierServiceServer
	stores map[string]Store
}

// New returns a service without participants.
func New() *Service { return &Service{stores: make(map[string]Store)} }

// Add adds a participant.
func (s *Service) Add(participant string, store Store) { s.stores[participant] = store }

// Register registers the service with a gRPC server. It is for those who take
// part in transactions, not for callers from outside.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterBarrierServiceServer(r, s) }

// GetBranches implements the service.
func (s *Service) GetBranches(ctx context.Context, req *pb.GetBranchesRequest) (*pb.GetBranchesResponse, error) {
	store, ok := s.stores[req.GetParticipant()]
	if !ok {
		served := slices.Sorted(maps.Keys(s.stores))
		return nil, rpc.Error(codes.NotFound, "UNKNOWN_PARTICIPANT", "this process serves "+strings.Join(served, ", "),
			map[string]string{"participant": req.GetParticipant()})
	}
	branches, err := store.Branches(ctx, req.GetGid())
	if err != nil {
		return nil, database.Transient(err)
	}
	resp := &pb.GetBranchesResponse{}
	for _, b := range branches {
		resp.Branches = append(resp.Branches, &pb.Branch{
			Gid: b.GID, BranchId: b.BranchID, State: stateOf(b.State), UpdateTime: timestamppb.New(b.TriedAt),
		})
	}
	return resp, nil
}

func stateOf(s barrier.State) pb.BranchState {
	switch s {
	case barrier.Tried:
		return pb.BranchState_BRANCH_STATE_TRIED
	case barrier.Confirmed:
		return pb.BranchState_BRANCH_STATE_CONFIRMED
	case barrier.Cancelled:
		return pb.BranchState_BRANCH_STATE_CANCELLED
	case barrier.EmptyCancelled:
		return pb.BranchState_BRANCH_STATE_EMPTY_CANCELLED
	case barrier.Rejected:
		return pb.BranchState_BRANCH_STATE_REJECTED
	default:
		return pb.BranchState_BRANCH_STATE_UNSPECIFIED
	}
}
