package dispatch

import (
	"embed"
	"fmt"
	"io/fs"

	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	"github.com/tcckit/tcckit/internal/database"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use: all.
func PublicMethods() []string {
	return []string{pb.DispatchService_GetShipment_FullMethodName, pb.DispatchService_ListShipments_FullMethodName}
}

// Service is the dispatch service. It is safe for concurrent use, also by
// several processes on one database, and owns nothing that must be closed.
type Service struct {
	pb.UnimplementedDispatchServiceServer
	cfg    Config
	orders *orders
	store  *store
}

// New returns the service. Its error names everything that is wrong with cfg.
func New(cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("dispatch: %w", err)
	}
	cfg.setDefaults()
	return &Service{cfg: cfg, orders: newOrders(cfg.Order), store: &store{db: cfg.DB}}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterDispatchServiceServer(r, s) }
