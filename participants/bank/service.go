package bank

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	"github.com/tcckit/tcckit/internal/database"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use.
func PublicMethods() []string {
	return []string{
		pb.BankService_Transfer_FullMethodName,
		pb.BankService_GetTransfer_FullMethodName,
		pb.BankService_GetAccount_FullMethodName,
	}
}

// Service is one bank. It is safe for concurrent use, also by several processes
// on one database, and owns nothing that must be closed.
type Service struct {
	pb.UnimplementedBankServiceServer
	cfg Config
	db  *database.DB
}

// New returns the service. Its error names everything that is wrong with cfg.
func New(cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("bank: %w", err)
	}
	cfg.setDefaults()
	return &Service{cfg: cfg, db: cfg.DB}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterBankServiceServer(r, s) }

// GetAccount implements the service. An account that does not exist is
// NOT_FOUND.
func (s *Service) GetAccount(ctx context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
	a, err := findAccount(ctx, s.db.SQL(), req.GetAccountId())
	if err != nil {
		return nil, edge(err, "")
	}
	if a == nil {
		return nil, edge(refuse(codes.NotFound, unknownAccount(req.GetAccountId())), "")
	}
	return &pb.GetAccountResponse{Account: a}, nil
}

// GetTransfer implements the service. A transfer that was not sent from this
// bank is NOT_FOUND.
func (s *Service) GetTransfer(ctx context.Context, req *pb.GetTransferRequest) (*pb.GetTransferResponse, error) {
	id := req.GetTransferId()
	t, err := findTransfer(ctx, s.db.SQL(), id)
	if err != nil {
		return nil, edge(err, "")
	}
	if t == nil {
		return nil, edge(refuse(codes.NotFound, &why{
			reason: "UNKNOWN_TRANSFER", message: fmt.Sprintf("no transfer %s was sent from bank %s", id, s.cfg.Name),
			metadata: map[string]string{"transfer_id": id},
		}), "")
	}
	return &pb.GetTransferResponse{Transfer: t}, nil
}
