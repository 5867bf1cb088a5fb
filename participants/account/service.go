package account

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/database"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use.
func PublicMethods() []string {
	return []string{pb.AccountService_GetAccount_FullMethodName}
}

// Config configures [New].
type Config struct {
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
}

// Service is the account service. It is safe for concurrent use and owns
// nothing that must be closed.
type Service struct {
	pb.UnimplementedAccountServiceServer
	db *database.DB
}

// New returns the service.
func New(cfg Config) (*Service, error) {
	if cfg.DB == nil {
		return nil, errors.New("account: no DB is given")
	}
	return &Service{db: cfg.DB}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterAccountServiceServer(r, s) }

// GetAccount implements the service. An account that does not exist is
// NOT_FOUND.
func (s *Service) GetAccount(ctx context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
	a, err := find(ctx, s.db.SQL(), req.GetAccountId())
	if err != nil {
		return nil, edge(err, "")
	}
	return &pb.GetAccountResponse{Account: a}, nil
}
