package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/tcc"
)

// The defaults of [Config].
const (
	DefaultRetryInterval  = 5 * time.Second
	DefaultRequestTimeout = 3 * time.Second
	DefaultSettleTimeout  = 5 * time.Second
	// defaultHTTPTimeout bounds one query when no HTTP client is given.
	defaultHTTPTimeout = 3 * time.Second
)

// Config configures [New]. Conn and HTTPURL are required.
type Config struct {
	// Conn is a connection to DTM's gRPC port. Deadlines, TLS, interceptors,
	// retry policies and balancing are its owner's, who also closes it.
	Conn grpc.ClientConnInterface
	// HTTPURL is the base URL of DTM's HTTP API, such as
	// "http://127.0.0.1:36789": its gRPC API cannot be queried.
	HTTPURL string
	// HTTPClient is used for queries. Nil means one that gives up after 3 s.
	HTTPClient *http.Client

	// Keys signs the global transactions that are begun. Nil leaves them
	// unsigned, which participants with a keyring refuse.
	Keys *tcc.Keyring

	// RetryInterval is after what time DTM looks again at a transaction
	// that it could not finish. The first retry of a failed Confirm or
	// Cancel comes after twice this interval, and up to 3 s later; from
	// then on DTM doubles it without a cap. A transaction that takes longer
	// than the interval gets its Confirms twice, at once, which the barrier
	// bears. Whole seconds, 0 means [DefaultRetryInterval].
	RetryInterval time.Duration
	// RequestTimeout is how long DTM waits for one Confirm or Cancel. Whole
	// seconds, 0 means [DefaultRequestTimeout]. Keep it longer than the
	// participants' lock wait timeout.
	RequestTimeout time.Duration
	// SettleTimeout bounds what is done in the caller's place after its
	// context has ended: aborting, and finding out what became of a Submit
	// without an answer. 0 means [DefaultSettleTimeout].
	SettleTimeout time.Duration

	// Logger receives what no error can tell any more: an Abort that did
	// not get through, a Submit without an answer. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global
	// one.
	MeterProvider metric.MeterProvider
	// TracerProvider makes the span of each transaction. Nil means
	// OpenTelemetry's global one.
	TracerProvider trace.TracerProvider
	// Propagator writes the trace context that DTM sends along with Confirm
	// and Cancel. Nil means OpenTelemetry's global one, which does nothing
	// unless the program sets it.
	Propagator propagation.TextMapPropagator
}

func (c *Config) setDefaults() {
	if c.HTTPClient == nil {
		c.HTTPClient = defaultHTTPClient()
	}
	if c.RetryInterval == 0 {
		c.RetryInterval = DefaultRetryInterval
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	if c.SettleTimeout == 0 {
		c.SettleTimeout = DefaultSettleTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.Propagator == nil {
		c.Propagator = otel.GetTextMapPropagator()
	}
}

// defaultHTTPClient keeps no connection open, so that a Client has nothing to
// close: queries are rare.
func defaultHTTPClient() *http.Client {
	return &http.Client{
		Timeout:   defaultHTTPTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
	}
}

// validate reports everything that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	if c.Conn == nil {
		errs = append(errs, errors.New("no Conn: give a connection to DTM's gRPC port"))
	}
	switch u, err := url.Parse(c.HTTPURL); {
	case c.HTTPURL == "":
		errs = append(errs, errors.New("no HTTPURL: give the base URL of DTM's HTTP API, such as http://127.0.0.1:36789"))
	case err != nil:
		errs = append(errs, fmt.Errorf("HTTPURL: %w", err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		errs = append(errs, fmt.Errorf("HTTPURL is %q: want http:// or https:// and a host", c.HTTPURL))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"RetryInterval", c.RetryInterval}, {"RequestTimeout", c.RequestTimeout}} {
		if d.value < 0 || d.value%time.Second != 0 {
			errs = append(errs, fmt.Errorf("%s is %s: DTM takes whole seconds, at least 1s", d.name, d.value))
		}
	}
	if c.SettleTimeout < 0 {
		errs = append(errs, fmt.Errorf("SettleTimeout is %s: want more than 0", c.SettleTimeout))
	}
	return errors.Join(errs...)
}
