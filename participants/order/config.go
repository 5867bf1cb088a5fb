package order

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/database"
)

// The defaults of [Config].
const (
	DefaultTimeout    = 10 * time.Second
	DefaultAnswerWait = 2 * time.Second
)

// Peer is a participant, addressed twice.
type Peer struct {
	// Conn is the connection for calls of this service: Try, and prices.
	Conn grpc.ClientConnInterface
	// Target is where the coordinator reaches the participant for Confirm and
	// Cancel, as host:port.
	Target string
}

// Config configures [New]. Fields without a default are required.
type Config struct {
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
	// Coordinator begins the global transactions.
	Coordinator *coordinator.Client
	// Order, Account and Stock are the participants. Order is this service
	// itself, at the listener that serves its branches; with several replicas
	// it may be any of them.
	Order, Account, Stock Peer
	// Announcer publishes order.confirmed. Nil: confirmed orders are not
	// announced.
	Announcer Announcer
	// Timeout bounds PlaceOrder, also for a caller with a later deadline or
	// none. 0 means [DefaultTimeout].
	Timeout time.Duration
	// AnswerWait is how long PlaceOrder waits, after the decision, for the
	// order to be confirmed, and for another call's attempt at the same
	// request, before it answers PENDING. 0 means [DefaultAnswerWait].
	AnswerWait time.Duration
	// Logger receives what callers must not see. Nil means slog.Default.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.AnswerWait == 0 {
		c.AnswerWait = DefaultAnswerWait
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// validate reports everything that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	if c.DB == nil {
		errs = append(errs, errors.New("no DB is given"))
	}
	if c.Coordinator == nil {
		errs = append(errs, errors.New("no Coordinator is given"))
	}
	for _, p := range []struct {
		name string
		peer Peer
	}{{"Order", c.Order}, {"Account", c.Account}, {"Stock", c.Stock}} {
		if p.peer.Conn == nil {
			errs = append(errs, fmt.Errorf("%s.Conn is nil: give a connection to call Try on", p.name))
		}
		if p.peer.Target == "" {
			errs = append(errs, fmt.Errorf("%s.Target is empty: give the host:port at which the coordinator reaches it", p.name))
		}
	}
	if c.Timeout < 0 || c.AnswerWait < 0 {
		errs = append(errs, fmt.Errorf("want more than 0 for Timeout and AnswerWait, got %s and %s", c.Timeout, c.AnswerWait))
	}
	return errors.Join(errs...)
}
