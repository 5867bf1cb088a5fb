package serve

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/branchview"
	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/observe"
	"github.com/tcckit/tcckit/participants/account"
	"github.com/tcckit/tcckit/participants/bank"
	"github.com/tcckit/tcckit/participants/cart"
	"github.com/tcckit/tcckit/participants/dispatch"
	"github.com/tcckit/tcckit/participants/express"
	"github.com/tcckit/tcckit/participants/order"
	"github.com/tcckit/tcckit/participants/stock"
)

// registrant is a service that can be put on a gRPC server.
type registrant interface {
	Register(grpc.ServiceRegistrar)
}

// service is one of the shop's.
type service struct {
	name       string
	migrations func() fs.FS
	// public are the methods for callers from outside.
	public func() []string
	build  func(context.Context, *process, *database.DB) (registrant, error)
}

// services are those that can be served.
func services() []service {
	list := []service{
		{"order", order.Migrations, order.PublicMethods, newOrder},
		{"account", account.Migrations, account.PublicMethods, newAccount},
		{"stock", stock.Migrations, stock.PublicMethods, newStock},
		{"cart", cart.Migrations, cart.PublicMethods, newCart},
		{"dispatch", dispatch.Migrations, dispatch.PublicMethods, newDispatch},
		{"express", express.Migrations, express.PublicMethods, newExpress},
	}
	for _, name := range banks() {
		list = append(list, service{bankPrefix + name, bank.Migrations, bank.PublicMethods, newBank(name)})
	}
	return list
}

// Names are the names of the services.
func Names() []string {
	var names []string
	for _, s := range services() {
		names = append(names, s.name)
	}
	return names
}

// Migrations are the tables of a service, nil if there is no such service.
func Migrations(name string) fs.FS {
	s, ok := find(name)
	if !ok {
		return nil
	}
	return s.migrations()
}

func find(name string) (service, bool) {
	for _, s := range services() {
		if s.name == name {
			return s, true
		}
	}
	return service{}, false
}

func newAccount(_ context.Context, _ *process, db *database.DB) (registrant, error) {
	return account.New(account.Config{DB: db})
}

// newStock makes the stock service, which takes part in express orders if they can be heard of here.
func newStock(ctx context.Context, p *process, db *database.DB) (registrant, error) {
	cfg := stock.Config{DB: db}
	if !p.cfg.reaches("express") {
		return stock.New(cfg)
	}
	var err error
	if cfg.Outbox, err = p.messages.publish(ctx, "stock", db, "", event.TopicExpressResult); err != nil {
		return nil, err
	}
	s, err := stock.New(cfg)
	if err != nil {
		return nil, err
	}
	p.messages.consume("stock", db, s.Consumers()...)
	return s, nil
}

// process is what the services of a process share, and what must be closed when it ends.
type process struct {
	cfg          Config
	listeners    *listeners
	participants map[string]Participant // complete, of those that the process calls
	telemetry    *observe.Telemetry
	tls          *certs.Source // nil without TLS
	checks       map[string]observe.Check
	client       *coordinator.Client // nil until it is needed
	messages     *messages
	branches     *branchview.Service
	banks        *bankHost
	runners      []runner
	closers      []io.Closer
}

// own has c closed at the end of the process, before what was owned earlier.
func (p *process) own(c io.Closer) { p.closers = append(p.closers, c) }

func (p *process) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i].Close())
	}
	p.closers = nil
	return errors.Join(errs...)
}
