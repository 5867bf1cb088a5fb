package dispatch

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/internal/database"
)

// DefaultTimeout is that of [Config]. It is longer than the order service takes
// for a call, so that its answer comes before.
const DefaultTimeout = 15 * time.Second

// Config configures [New]. Fields without a default are required.
type Config struct {
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
	// Order is the order service, at its internal address: RestoreOrder is not
	// served on the public one.
	Order grpc.ClientConnInterface
	// Timeout bounds what one message asks of the order service. 0 means
	// [DefaultTimeout].
	Timeout time.Duration
}

func (c *Config) setDefaults() {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
}

// validate reports everything that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	if c.DB == nil {
		errs = append(errs, errors.New("no DB is given"))
	}
	if c.Order == nil {
		errs = append(errs, errors.New("no Order is given: dispatch asks the order service about each order"))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("want more than 0 for Timeout, got %s", c.Timeout))
	}
	return errors.Join(errs...)
}
