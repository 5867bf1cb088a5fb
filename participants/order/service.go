package order

import (
	"embed"
	"fmt"
	"io/fs"

	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/database"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use.
func PublicMethods() []string {
	return []string{
		pb.OrderService_PlaceOrder_FullMethodName,
		pb.OrderService_GetOrder_FullMethodName,
		pb.OrderService_ListOrders_FullMethodName,
	}
}

// Service is the order service. It is safe for concurrent use, also by several
// processes on one database, and owns nothing that must be closed.
type Service struct {
	pb.UnimplementedOrderServiceServer
	cfg    Config
	stock  stockpb.StockServiceClient
	store  *store
	orders *orders
	news   *news
}

// New returns the service. Its error names everything that is wrong with cfg.
func New(cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	cfg.setDefaults()
	return &Service{
		cfg:    cfg,
		stock:  stockpb.NewStockServiceClient(cfg.Stock.Conn),
		store:  &store{db: cfg.DB},
		orders: &orders{db: cfg.DB},
		news:   newNews(),
	}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterOrderServiceServer(r, s) }
