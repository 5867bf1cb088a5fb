package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/cmd/tcckit/internal/dtmview"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/certs"
)

// askTimeout bounds one question to the coordinator.
const askTimeout = 3 * time.Second

// dtmFlags say where the coordinator is, and who asks, for commands that only ask it: that goes by HTTP alone.
type dtmFlags struct {
	grpc, http string
	tls        tlsFlags
}

func (d *dtmFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&d.http, "dtm-http", defaultDTMHTTP, "URL of DTM's HTTP API")
	flags.StringVar(&d.grpc, "dtm-grpc", defaultDTMGRPC, "host:port of DTM's gRPC API, which this command does not call")
	_ = flags.MarkHidden("dtm-grpc") // it exists
	d.tls.register(flags)
}

// client returns a client of the coordinator, and what closes it.
func (d *dtmFlags) client() (*coordinator.Client, func() error, error) {
	source, err := d.tls.open(nil)
	if err != nil {
		return nil, nil, err
	}
	return d.clientBy(source)
}

// clientBy is client where the TLS files are open already; source is nil without TLS.
func (d *dtmFlags) clientBy(source *certs.Source) (*coordinator.Client, func() error, error) {
	u, err := url.Parse(d.http)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, nil, usagef("--dtm-http %q: want http://host:port or https://host:port", d.http)
	case source != nil && u.Scheme != "https":
		return nil, nil, usagef("--dtm-http %q: with --tls-cert want https://host:port", d.http)
	}
	conn, err := connect(d.grpc, source)
	if err != nil {
		return nil, nil, err
	}
	cfg := coordinator.Config{Conn: conn, HTTPURL: d.http}
	if source != nil {
		cfg.HTTPClient = source.HTTPClient(askTimeout)
	}
	client, err := coordinator.New(cfg)
	if err != nil {
		return nil, nil, usageError{errors.Join(err, conn.Close())}
	}
	return client, conn.Close, nil
}

// with calls f with a client of the coordinator.
func (d *dtmFlags) with(f func(*coordinator.Client) error) (err error) {
	client, closeClient, err := d.client()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeClient()) }()
	return f(client)
}

// asked is a coordinator that is asked once whether it is there: a list of a hundred transactions must not
// wait for a hundred answers that do not come.
type asked struct {
	barrier.Coordinator
	away error
}

func newAsked(client *coordinator.Client) *asked { return &asked{Coordinator: dtmview.New(client)} }

// view returns what the coordinator knows; if it gives no answer, that it is away.
func (a *asked) view(ctx context.Context, gid string) barrier.View {
	if a.away != nil {
		return barrier.View{Verdict: barrier.Away}
	}
	v, err := a.Look(ctx, gid)
	if err != nil {
		a.away = err
		return barrier.View{Verdict: barrier.Away}
	}
	return v
}
