package rocketmq

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
)

// DefaultSendTimeout is what [Config.SendTimeout] is by default.
const DefaultSendTimeout = 3 * time.Second

// Config configures [Open].
type Config struct {
	// NameServers are the addresses of RocketMQ's name servers, host:port,
	// where host may be a name that DNS knows; it is looked up again every
	// two minutes. None at all: the bus is within the process, see [Bus].
	NameServers []string
	// AccessKey and SecretKey are the credentials of RocketMQ's ACL. They need
	// each other. Empty: none are sent.
	AccessKey, SecretKey string
	// SendTimeout bounds the sending of one batch of messages, with the
	// attempts that it takes. It is up to 3 s, which the client sets for an
	// attempt. 0 means [DefaultSendTimeout].
	SendTimeout time.Duration

	// Logger receives what goes wrong, at level debug also what the client
	// says. The client has one log for the whole process: it goes to the
	// bus opened last. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
	// Propagator carries the trace context of a message's context in the
	// message's metadata, where these do not have it already. Nil means
	// OpenTelemetry's global one.
	Propagator propagation.TextMapPropagator
}

// setDefaults reports everything that is wrong at once.
func (c *Config) setDefaults() error {
	var errs []error
	for _, addr := range c.NameServers {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("name server %q: want host:port", addr))
		}
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		errs = append(errs, errors.New("want both an access key and a secret key, or none"))
	}
	if c.SendTimeout < 0 || c.SendTimeout > DefaultSendTimeout {
		errs = append(errs, fmt.Errorf("SendTimeout %s: want up to %s", c.SendTimeout, DefaultSendTimeout))
	}
	if c.SendTimeout == 0 {
		c.SendTimeout = DefaultSendTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.Propagator == nil {
		c.Propagator = otel.GetTextMapPropagator()
	}
	return errors.Join(errs...)
}
