package main

import (
	"context"
	"errors"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/cmd/tcckit/internal/dtmview"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/rpc"
)

// dtmFlags say where the coordinator is, for commands that only ask it: that goes by HTTP alone.
type dtmFlags struct{ grpc, http string }

func (d *dtmFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&d.http, "dtm-http", defaultDTMHTTP, "URL of DTM's HTTP API")
	flags.StringVar(&d.grpc, "dtm-grpc", defaultDTMGRPC, "host:port of DTM's gRPC API, which this command does not call")
	_ = flags.MarkHidden("dtm-grpc") // it exists
}

// client returns a client of the coordinator, and what closes it.
func (d *dtmFlags) client() (*coordinator.Client, func() error, error) {
	if u, err := url.Parse(d.http); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, nil, usagef("--dtm-http %q: want http://host:port", d.http)
	}
	conn, err := rpc.Dial(d.grpc, rpc.DialConfig{})
	if err != nil {
		return nil, nil, usageError{err}
	}
	client, err := coordinator.New(coordinator.Config{Conn: conn, HTTPURL: d.http})
	if err != nil {
		return nil, nil, usageError{errors.Join(err, conn.Close())}
	}
	return client, conn.Close, nil
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
