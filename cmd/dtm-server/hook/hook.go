// Package hook is where the patched DTM server calls back into the process that runs it.
//
// DTM opens its listeners itself, on all interfaces, and keeps its gRPC server to itself. The build
// program (../build) replaces those lines by calls to this package, so that main decides on which address
// it listens, which routes it serves, and how it ends. The unpatched server never calls it.
package hook

import (
	"context"
	"net"
	"sync"

	"github.com/gin-gonic/gin"
	"google.golang.org/grpc"
)

// Host is what the server asks of the process around it. Every method but Call is called at most once, before the
// server is ready.
type Host interface {
	// ServeHTTP serves DTM's HTTP API, with all its routes set, on the configured port. It returns once
	// the port is bound.
	ServeHTTP(api *gin.Engine, port int64) error
	// ListenGRPC binds the configured gRPC port.
	ListenGRPC(port int64) (net.Listener, error)
	// GRPCOptions completes the options of the gRPC server.
	GRPCOptions(options ...grpc.ServerOption) []grpc.ServerOption
	// GRPCServer hands over the server that will serve that listener, so that it can be stopped.
	GRPCServer(server *grpc.Server)
	// Call calls a participant's gRPC method at host:port with an encoded request and the outgoing metadata of
	// ctx. It may be called concurrently.
	Call(ctx context.Context, server, method string, request []byte) error
}

// DTM offers no way to hand it a value, its server being a set of package-level functions, so the host is
// kept here; this is the only mutable state of its kind in the module.
//
//nolint:gochecknoglobals // see above
var installed struct {
	sync.Mutex

	host Host
}

// Install sets the host; call it before DTM's entry.Main.
func Install(host Host) {
	installed.Lock()
	defer installed.Unlock()
	installed.host = host
}

func host() Host {
	installed.Lock()
	defer installed.Unlock()
	return installed.host
}

// ServeHTTP passes the call to the installed host.
func ServeHTTP(api *gin.Engine, port int64) error { return host().ServeHTTP(api, port) }

// ListenGRPC passes the call to the installed host.
func ListenGRPC(port int64) (net.Listener, error) { return host().ListenGRPC(port) }

// GRPCOptions passes the call to the installed host.
func GRPCOptions(options ...grpc.ServerOption) []grpc.ServerOption {
	return host().GRPCOptions(options...)
}

// Call passes the call to the installed host.
func Call(ctx context.Context, server, method string, request []byte) error {
	return host().Call(ctx, server, method, request)
}

// GRPCServer passes the call to the installed host.
func GRPCServer(server *grpc.Server) { host().GRPCServer(server) }
