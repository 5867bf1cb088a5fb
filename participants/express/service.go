package express

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/messaging/outbox"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the service's tables, for package database.
func Migrations() fs.FS { return database.Folder(migrations) }

// PublicMethods are the methods that callers from outside may use.
func PublicMethods() []string {
	return []string{pb.ExpressService_PlaceExpressOrder_FullMethodName, pb.ExpressService_GetExpressOrder_FullMethodName}
}

// Config configures [New]. All fields are required.
type Config struct {
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
	// Outbox, in DB, is what stock is asked through. Its ResultTopic is
	// express.result.
	Outbox *outbox.Outbox
}

// Service is the express service. It is safe for concurrent use, also by several
// processes on one database, and owns nothing that must be closed.
type Service struct {
	pb.UnimplementedExpressServiceServer
	db     *database.DB
	outbox *outbox.Outbox
}

// New returns the service.
func New(cfg Config) (*Service, error) {
	if cfg.DB == nil {
		return nil, errors.New("express: no DB is given")
	}
	if cfg.Outbox == nil {
		return nil, errors.New("express: no Outbox is given")
	}
	return &Service{db: cfg.DB, outbox: cfg.Outbox}, nil
}

// Register registers the service with a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterExpressServiceServer(r, s) }

// Consumers are the messages that the service handles, each by an inbox of its
// name in the service's database.
func (s *Service) Consumers() []event.Consumer {
	return []event.Consumer{{Name: "express-result", Topic: event.TopicExpressResult, Handler: s.settle}}
}

// GetExpressOrder implements the service. An order that does not exist is
// NOT_FOUND.
func (s *Service) GetExpressOrder(ctx context.Context, req *pb.GetExpressOrderRequest) (*pb.GetExpressOrderResponse, error) {
	order, err := find(ctx, s.db.SQL(), req.GetOrderId())
	if err != nil {
		return nil, database.Transient(err)
	}
	if order == nil {
		return nil, rpc.Error(codes.NotFound, "UNKNOWN_ORDER", "there is no express order "+req.GetOrderId(), map[string]string{"order_id": req.GetOrderId()})
	}
	return &pb.GetExpressOrderResponse{Order: order}, nil
}
