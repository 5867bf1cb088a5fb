package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tcckit/tcckit/internal/dtmserver"
)

// The services of the shop, participants first: order needs the others.
const (
	Account = "account"
	Stock   = "stock"
	Order   = "order"
)

// Services returns the services in the order in which they are started.
func Services() []string { return []string{Account, Stock, Order} }

// Followers are the services that follow another one by message and run in its process, so that without a
// broker the messages stay within it.
func Followers(service string) []string {
	switch service {
	case Stock:
		return []string{"express"}
	case Order:
		return []string{"cart", "dispatch", "bank-north", "bank-south"}
	default:
		return nil
	}
}

// All returns the services and those that follow them.
func All() []string {
	names := Services()
	for _, name := range Services() {
		names = append(names, Followers(name)...)
	}
	return names
}

// Config says what to run.
type Config struct {
	// Program is the tcckit binary. Empty: the one that runs.
	Program string
	// Dir keeps databases, logs and the signing key. It must exist, and stays.
	Dir string
	// Databases names a service's database as `tcckit serve` takes it; a service that is missing gets a
	// SQLite file in Dir.
	Databases map[string]string
	// DTM is a server that runs already. Zero: one is started, with DTMStore and DTMEnv.
	DTM DTM
	// DTMStore is where an own DTM server keeps its transactions, DTMEnv its further settings.
	DTMStore dtmserver.Store
	DTMEnv   []string
	// Follow runs the services that follow others by message, too.
	Follow bool
	// RocketMQ are the addresses of name servers, host:port each, for the messages. None: they stay within
	// their process, unless OwnRocketMQ has one started, with its data in Dir.
	RocketMQ    []string
	OwnRocketMQ bool
	// RocketMQPrefix is what the names of topics and consumer groups begin with, for shops that share a
	// RocketMQ.
	RocketMQPrefix string
	// RelayLease is after what time a message is another process's to publish whose publisher has died; 0:
	// the default.
	RelayLease time.Duration
	// RetryInterval is after what time DTM looks again at what it could not finish; 0: the default.
	RetryInterval time.Duration
	// FixedPorts asks for the well-known ports of the services and of DTM, unless another stack of this
	// machine has asked before, and where they are free.
	FixedPorts bool
	// StartTimeout bounds the start of one process; 0 means 60 s.
	StartTimeout time.Duration
}

// DTM is where a DTM server is reached.
type DTM struct {
	// GRPCAddr is host:port, HTTPURL such as http://127.0.0.1:36789.
	GRPCAddr, HTTPURL string
}

const defaultStartTimeout = 60 * time.Second

func (c Config) withDefaults() (Config, error) {
	if c.Program == "" {
		self, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("stack: %w", err)
		}
		c.Program = self
	}
	if c.Dir == "" {
		return c, errors.New("stack: Config.Dir is required")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("stack: %w", err)
	}
	c.Dir = dir
	if (c.DTM.GRPCAddr == "") != (c.DTM.HTTPURL == "") {
		return c, errors.New("stack: a given DTM server needs both its gRPC address and its HTTP address")
	}
	if len(c.RocketMQ) > 0 && c.OwnRocketMQ {
		return c, errors.New("stack: a RocketMQ is given, so none is to be started")
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = defaultStartTimeout
	}
	return c, nil
}

// database names a service's database.
func (c *Config) database(service string) string {
	if dsn := c.Databases[service]; dsn != "" {
		return dsn
	}
	return "sqlite:" + filepath.Join(c.Dir, service+".db")
}
