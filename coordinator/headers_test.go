package coordinator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func keyring(t *testing.T, id string) *tcc.Keyring {
	t.Helper()
	k, err := tcc.NewKeyring(id, map[string][]byte{id: []byte(strings.Repeat(id, tcc.MinKeyLen))})
	require.NoError(t, err)
	return k
}

// A participant with a keyring takes the deliveries of who holds a key, from
// the initiator and from the coordinator, and nobody else's.
func testSignature(t *testing.T, d *dtm) {
	keys := keyring(t, "a")
	p := newParticipant(t, func(cfg *tcc.ServerConfig) { cfg.Keys = keys })
	signed := d.client(t, func(cfg *coordinator.Config) { cfg.Keys = keys })
	tx := begin(t, signed)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, signed, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"01 try", "01 confirm"}, p.calls(tx.GID()))
	for _, got := range p.got(tx.GID()) {
		require.Len(t, got.metadata.Get(tcc.SignatureHeader), 1)
	}

	for name, c := range map[string]*coordinator.Client{
		"unsigned":  d.client(t),
		"other key": d.client(t, func(cfg *coordinator.Config) { cfg.Keys = keyring(t, "b") }),
	} {
		tx := begin(t, c)
		err := tx.Try(bounded(t), p.branch("a"))
		var aborted *coordinator.AbortedError
		require.ErrorAs(t, err, &aborted, name)
		require.Equal(t, codes.PermissionDenied, status.Code(aborted.Err))
		require.Empty(t, p.got(tx.GID()))
		require.NoError(t, tx.Abort(bounded(t), "not trusted"))
	}
}

// One trace covers the initiator, its Try, and the Confirm that DTM calls.
func testTrace(t *testing.T, d *dtm) {
	spans := tracetest.NewInMemoryExporter()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	propagator := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	c := d.client(t, func(cfg *coordinator.Config) { cfg.TracerProvider, cfg.Propagator = tp, propagator })
	p := newParticipant(t)
	b := p.branch("a")
	b.Conn = dial(t, p.addr, grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(tp), otelgrpc.WithPropagators(propagator))))

	ctx, root := tp.Tracer("test").Start(bounded(t), "place order")
	// More baggage than DTM has room for must not fail the transaction.
	member, err := baggage.NewMember("filling", strings.Repeat("x", 2000))
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	tx, err := c.Begin(baggage.ContextWithBaggage(ctx, bag))
	require.NoError(t, err)
	require.NoError(t, tx.Try(ctx, b))
	require.NoError(t, tx.Commit(ctx))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	root.End()

	trace := root.SpanContext().TraceID().String()
	for _, got := range p.got(tx.GID()) {
		require.Len(t, got.metadata.Get("traceparent"), 1, got.Phase)
		require.Contains(t, got.metadata.Get("traceparent")[0], trace, got.Phase)
	}
	confirm := p.got(tx.GID(), tcc.Confirm)[0].metadata
	require.Empty(t, confirm.Get("baggage"))
	found := false
	for _, span := range spans.GetSpans() {
		if span.Name == "tcckit.transaction" {
			found = true
			require.Equal(t, root.SpanContext().SpanID(), span.Parent.SpanID())
			require.Contains(t, confirm.Get("traceparent")[0], span.SpanContext.SpanID().String(), "Confirm belongs to the transaction's span")
			attributes := map[string]string{}
			for _, a := range span.Attributes {
				attributes[string(a.Key)] = a.Value.AsString()
			}
			require.Equal(t, map[string]string{"tcckit.gid": tx.GID(), "tcckit.outcome": "committed"}, attributes)
		}
	}
	require.True(t, found)
}

func testHeaders(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c, coordinator.WithHeaders(map[string]string{"x-tenant": "<blue>"}))
	ctx := metadata.AppendToOutgoingContext(bounded(t), "x-tenant", "red", "x-own", "1")
	require.NoError(t, tx.Try(ctx, p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	for _, got := range p.got(tx.GID()) {
		require.Equal(t, []string{"<blue>"}, got.metadata.Get("x-tenant"), got.Phase)
	}
	require.Equal(t, []string{"1"}, p.got(tx.GID(), tcc.Try)[0].metadata.Get("x-own"), "the caller's own metadata goes with its own calls")
}
