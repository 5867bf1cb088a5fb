package cart

import (
	"embed"
	"errors"
	"io/fs"

	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/internal/database"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use: all.
func PublicMethods() []string {
	return []string{
		pb.CartService_AddItem_FullMethodName,
		pb.CartService_RemoveItem_FullMethodName,
		pb.CartService_GetCart_FullMethodName,
	}
}

// Config configures [New].
type Config struct {
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
}

// Service is the cart service. It is safe for concurrent use and owns nothing
// that must be closed.
type Service struct {
	pb.UnimplementedCartServiceServer
	db *database.DB
}

// New returns the service.
func New(cfg Config) (*Service, error) {
	if cfg.DB == nil {
		return nil, errors.New("cart: no DB is given")
	}
	return &Service{db: cfg.DB}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterCartServiceServer(r, s) }
