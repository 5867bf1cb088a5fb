package coordinator

import (
	"fmt"
	"net/url"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
)

// Client begins global transactions at a DTM server. It is safe for concurrent
// use and owns nothing that must be closed.
type Client struct {
	cfg       Config
	dtm       dtmgpb.DtmClient
	queryURL  url.URL
	telemetry *telemetry
}

// New returns a client. Its error names everything that is wrong with cfg. It
// does not call the server.
func New(cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("coordinator: %w", err)
	}
	cfg.setDefaults()
	base, err := url.Parse(cfg.HTTPURL)
	if err != nil {
		return nil, fmt.Errorf("coordinator: HTTPURL: %w", err)
	}
	t, err := newTelemetry(cfg.MeterProvider, cfg.TracerProvider)
	if err != nil {
		return nil, fmt.Errorf("coordinator: %w", err)
	}
	return &Client{
		cfg:       cfg,
		dtm:       dtmgpb.NewDtmClient(cfg.Conn),
		queryURL:  *base.JoinPath("api/dtmsvr/query"),
		telemetry: t,
	}, nil
}
