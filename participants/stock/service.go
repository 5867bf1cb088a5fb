package stock

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/messaging/outbox"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use.
func PublicMethods() []string {
	return []string{pb.StockService_GetItem_FullMethodName, pb.StockService_ListItems_FullMethodName}
}

// Config configures [New].
type Config struct {
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
	// Outbox, in DB, is what express orders are answered through. Nil: there
	// are none.
	Outbox *outbox.Outbox
}

// Service is the stock service. It is safe for concurrent use and owns nothing
// that must be closed.
type Service struct {
	pb.UnimplementedStockServiceServer
	db     *database.DB
	outbox *outbox.Outbox
}

// New returns the service.
func New(cfg Config) (*Service, error) {
	if cfg.DB == nil {
		return nil, errors.New("stock: no DB is given")
	}
	return &Service{db: cfg.DB, outbox: cfg.Outbox}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterStockServiceServer(r, s) }

// GetItem implements the service. An item that does not exist is NOT_FOUND.
func (s *Service) GetItem(ctx context.Context, req *pb.GetItemRequest) (*pb.GetItemResponse, error) {
	item, err := find(ctx, s.db.SQL(), req.GetSku())
	if err != nil {
		return nil, edge(err, "")
	}
	return &pb.GetItemResponse{Item: item}, nil
}
