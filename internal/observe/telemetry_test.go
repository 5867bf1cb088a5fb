package observe_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/internal/observe"
)

// collecting is a collector that hands on the names of the spans that it was sent.
type collecting struct {
	collector.UnimplementedTraceServiceServer
	names chan string
}

func (c *collecting) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, r := range req.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				c.names <- span.GetName()
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestTracesReachTheCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	sink := &collecting{names: make(chan string, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, sink)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	tel, err := observe.NewTelemetry(t.Context(), observe.Config{Service: "test", OTLPEndpoint: "http://" + l.Addr().String()})
	require.NoError(t, err)
	_, span := tel.TracerProvider().Tracer("test").Start(t.Context(), "an order")
	span.End()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(t, tel.Shutdown(ctx))
	require.Equal(t, "an order", <-sink.names)
}

func TestEndpointMustBeAURL(t *testing.T) {
	for _, endpoint := range []string{"127.0.0.1:4317", "ftp://127.0.0.1", "http://", "://"} {
		_, err := observe.NewTelemetry(t.Context(), observe.Config{OTLPEndpoint: endpoint})
		require.ErrorContains(t, err, "want http://host:port", endpoint)
	}
}
