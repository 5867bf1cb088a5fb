package bank

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// Config configures [New]. Fields without a default are required.
type Config struct {
	// Name is the bank's, and part of its topics' and consumers' names: lower-case
	// letters, digits and hyphens, 32 at most.
	Name string
	// Peers are the names of the banks that it exchanges money with.
	Peers []string
	// DB has the tables of [Migrations]. Its owner closes it.
	DB *database.DB
	// Outbox, in DB, is what the bank answers other banks through.
	Outbox *outbox.Outbox
	// Sender sends the messages that ask other banks to credit.
	Sender Sender
	// Logger receives what callers must not see. Nil means slog.Default.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// validate reports everything that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	name := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	for _, n := range append([]string{c.Name}, c.Peers...) {
		if !name.MatchString(n) {
			errs = append(errs, fmt.Errorf("the bank's name %q is not valid: want 1 to 32 lower-case letters, digits and hyphens", n))
		}
	}
	if slices.Contains(c.Peers, c.Name) {
		errs = append(errs, fmt.Errorf("the bank %s is among its own peers: a transfer goes to another bank", c.Name))
	}
	if c.DB == nil {
		errs = append(errs, errors.New("no DB is given"))
	}
	if c.Outbox == nil {
		errs = append(errs, errors.New("no Outbox is given"))
	}
	if c.Sender == nil {
		errs = append(errs, errors.New("no Sender is given: take rocketmq.Transactions, or NewOutboxSender"))
	}
	return errors.Join(errs...)
}
