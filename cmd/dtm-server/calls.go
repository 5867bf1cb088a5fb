package main

import (
	"context"
	"time"

	"github.com/dtm-labs/dtm/client/dtmcli/dtmimp"
	"github.com/dtm-labs/dtm/client/dtmgrpc/dtmgimp"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
	"github.com/tcckit/tcckit/cmd/dtm-server/participants"
)

// newCaller returns what calls participants. It must be closed.
func newCaller(s tlsSettings, identity *certs.Identity) *participants.Caller {
	cfg := participants.Config{Report: func(err error) { warn("will be retried", err) }}
	if s.participants {
		cfg.Credentials = identity.Credentials()
	}
	return participants.New(cfg)
}

// Call implements hook.Host. The time limit is the transaction's, else the server's.
func (h *host) Call(ctx context.Context, server, method string, request []byte) error {
	seconds := dtmgimp.RequestTimeoutFromContext(ctx)
	if seconds <= 0 {
		seconds = h.settings.dtm.RequestTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
	defer cancel()
	return h.calls.Call(ctx, dtmimp.MayReplaceLocalhost(server), method, request)
}
