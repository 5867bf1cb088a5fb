package dtmserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/freeport"
)

const defaultStartTimeout = 30 * time.Second

// Config says which server to run and how.
type Config struct {
	// Binary is the dtm-server to run; empty: what Locate finds.
	Binary string
	// Dir is the server's folder, with its log, dtm-server.log, and boltdb's file. It is created if need
	// be and never removed. Required.
	Dir string
	// Store is where the server keeps its transactions.
	Store Store
	// HTTPAddr and GRPCAddr are where it listens, host:port; empty: a free loopback port, which stays the
	// same over a Restart. The stock build takes the port alone.
	HTTPAddr, GRPCAddr string
	// TLS is mutual TLS; nil: none. The stock build has none.
	TLS *TLS
	// Env are further settings of the server, NAME=value, such as TRANS_CRON_INTERVAL=1. They win over
	// what this package sets. Of this process's environment the server gets but a few general variables.
	Env []string
	// StartTimeout bounds a start; 0 means 30 s.
	StartTimeout time.Duration
}

// TLS says with which certificate the server serves and calls participants, and as whom this process asks it
// whether it is ready.
type TLS struct {
	Server certs.Files
	Client *certs.Source
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("dtmserver: Config.Dir is required")
	}
	if c.Store.err != nil {
		return c, c.Store.err
	}
	if c.Store.env == nil {
		c.Store = Bolt()
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = defaultStartTimeout
	}
	var err error
	if c.Binary, err = Locate(c.Binary); err != nil {
		return c, err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("dtmserver: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return c, fmt.Errorf("dtmserver: %w", err)
	}
	return c, nil
}

// endpoint is an address to listen on.
type endpoint struct{ host, port string }

// newEndpoint splits addr; if it is empty, it takes a free loopback port.
func newEndpoint(addr string) (endpoint, error) {
	if addr == "" {
		port, err := freeport.Loopback()
		return endpoint{"127.0.0.1", strconv.Itoa(port)}, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return endpoint{}, fmt.Errorf("dtmserver: address: want host:port: %w", err)
	}
	return endpoint{host, port}, nil
}

// dial is the address to reach the endpoint at from this machine.
func (e endpoint) dial() string {
	if ip := net.ParseIP(e.host); e.host == "" || ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", e.port)
	}
	return net.JoinHostPort(e.host, e.port)
}

// environment is the child's whole environment. DTM reads settings of very general names (HTTP_PORT,
// LOG_LEVEL), so it does not inherit this process's.
func (c Config) environment(http, grpc endpoint) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env,
		"DTM_DIE_WITH_STDIN=1",
		"LOG_LEVEL=warn",
		"DATA_DIR="+c.Dir,
		"STORE_WAIT="+(c.StartTimeout/2).String(),
		"HTTP_HOST="+http.host, "HTTP_PORT="+http.port,
		"GRPC_HOST="+grpc.host, "GRPC_PORT="+grpc.port,
	)
	if c.TLS != nil {
		env = append(env, "TLS_CERT="+c.TLS.Server.Cert, "TLS_KEY="+c.TLS.Server.Key, "TLS_CA="+c.TLS.Server.CA)
	}
	env = append(env, c.Store.env...)
	return append(env, c.Env...) // of two entries of a name the last counts (os/exec)
}
