package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// Config says what to serve and where.
type Config struct {
	// Services are the names of the services, see Names.
	Services []string
	// Databases are the DSNs of their databases, by service.
	Databases map[string]string
	// MaxConns limits the connections to one database; 0 means the default of package database.
	MaxConns int
	// Batch is the most branches that share one transaction; 0 means the default of package database.
	Batch int
	// Migrate brings the databases up to date first.
	Migrate bool

	// Public and Internal are addresses to listen on, host:port: for what callers from outside may call,
	// and for everything. Admin is that of metrics and health by HTTP, Health that of health by gRPC without
	// TLS; empty: none.
	Public, Internal, Admin, Health string
	// AdminProfiles serves profiles on Admin also where it is not a loopback address.
	AdminProfiles bool
	// TLS is mutual TLS between this process and those that it calls and is called by.
	TLS TLS

	// DTMGRPC is where the coordinator's gRPC API is, as Participant.Addr, DTMHTTP the URL of its HTTP API.
	// They are for the order service, as is all until RetryInterval, and for housekeeping.
	DTMGRPC, DTMHTTP string
	// Participants say where the services that take part in an order are reached.
	Participants map[string]Participant
	// RetryInterval is after what time the coordinator looks again at what it could not finish; 0 means
	// the default of package coordinator.
	RetryInterval time.Duration

	// RocketMQ is where messages are published and consumed; without name servers they stay within the
	// process.
	RocketMQ RocketMQ
	// RelayLease is after what time a message is another process's to publish whose publisher has died; 0
	// means the default of package outbox.
	RelayLease time.Duration

	// Housekeeping is what is done for the databases.
	Housekeeping

	// Keys sign and verify what begins a global transaction. Nil: nothing is signed, and everything that
	// reaches the internal listener is believed.
	Keys *tcc.Keyring
	// Insecure permits to serve on other than loopback addresses without keys and without TLS.
	Insecure bool

	// DrainDelay is how long calls are still taken at the end, while health checks say already that none
	// are. DrainTimeout is how long those under way are then waited for.
	DrainDelay, DrainTimeout time.Duration
	// OTLPEndpoint is where traces go, see observe.Config.
	OTLPEndpoint string
	// Version is the program's.
	Version string
	// Logger is the process's.
	Logger *slog.Logger
}

// minRelayLease is the shortest lease of a relay. Three quarters of it must exceed the 3 s after which a send to
// a silent broker is given up, or the outage would count as a try of the message.
const minRelayLease = 5 * time.Second

// RocketMQ says how to reach the broker.
type RocketMQ struct {
	// NameServers are host:port each. AccessKey and SecretKey are for a broker that asks who publishes.
	NameServers          []string
	AccessKey, SecretKey string
	// Prefix is what the names of topics and consumer groups begin with, so that several shops can share a
	// broker.
	Prefix string
	// HalfMessages has the order service announce orders by half messages in place of its outbox.
	HalfMessages bool
}

func (r RocketMQ) validate() error {
	var errs []error
	for _, addr := range r.NameServers {
		if err := validateAddress(addr); err != nil {
			errs = append(errs, fmt.Errorf("RocketMQ's name server %w", err))
		}
	}
	errs = append(errs, prefix(r.Prefix).validate())
	if (r.AccessKey == "") != (r.SecretKey == "") {
		errs = append(errs, errors.New("RocketMQ's access key and secret key belong together"))
	}
	if len(r.NameServers) == 0 && (r.AccessKey != "" || r.Prefix != "" || r.HalfMessages) {
		errs = append(errs, errors.New("RocketMQ's name servers are missing: --rocketmq host:port"))
	}
	return errors.Join(errs...)
}

// validate reports everything that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	if len(c.Services) == 0 {
		errs = append(errs, errors.New("no service is named: want any of "+strings.Join(Names(), ", ")))
	}
	for i, name := range c.Services {
		if _, ok := find(name); !ok {
			errs = append(errs, fmt.Errorf("unknown service %q: want any of %s", name, strings.Join(Names(), ", ")))
		} else if slices.Contains(c.Services[:i], name) {
			errs = append(errs, fmt.Errorf("service %s is named twice", name))
		} else if c.Databases[name] == "" {
			errs = append(errs, fmt.Errorf("service %s has no database", name))
		}
	}
	if c.DrainDelay < 0 {
		errs = append(errs, fmt.Errorf("a drain delay of %s: want 0 or more", c.DrainDelay))
	}
	if c.DrainTimeout <= 0 {
		errs = append(errs, fmt.Errorf("a drain timeout of %s: want more than 0", c.DrainTimeout))
	}
	if c.MaxConns < 0 {
		errs = append(errs, fmt.Errorf("at most %d database connections: want more than 0", c.MaxConns))
	}
	if c.Batch < 0 {
		errs = append(errs, fmt.Errorf("at most %d branches in a transaction: want more than 0", c.Batch))
	}
	if c.RelayLease < 0 || c.RelayLease > 0 && c.RelayLease < minRelayLease {
		errs = append(errs, fmt.Errorf("a relay's lease of %s: want %s or more", c.RelayLease, minRelayLease))
	}
	errs = append(errs, c.RocketMQ.validate(), c.Housekeeping.validate(), c.TLS.validate())
	if c.serves("order") || c.AskCoordinator {
		errs = append(errs, c.validateDTM()...)
	}
	return errors.Join(errs...)
}

func (c *Config) validateDTM() []error {
	var errs []error
	if err := validateTarget(c.DTMGRPC); err != nil {
		errs = append(errs, fmt.Errorf("DTM's gRPC address: %w", err))
	}
	u, err := url.Parse(c.DTMHTTP)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		errs = append(errs, fmt.Errorf("DTM's HTTP address %q: want http://host:port or https://host:port", c.DTMHTTP))
	case c.TLS.Given() && u.Scheme != "https":
		errs = append(errs, fmt.Errorf("DTM's HTTP address %q: with --tls-cert DTM is asked by TLS, want https://host:port", c.DTMHTTP))
	}
	if c.RetryInterval < 0 || c.RetryInterval%time.Second != 0 {
		errs = append(errs, fmt.Errorf("a retry interval of %s: DTM takes whole seconds", c.RetryInterval))
	}
	return errs
}

func (c *Config) serves(service string) bool { return slices.Contains(c.Services, service) }

// reaches says whether one of the services can be reached by message: by the broker, or in this process.
func (c *Config) reaches(services ...string) bool {
	return len(c.RocketMQ.NameServers) > 0 || slices.ContainsFunc(services, c.serves)
}
