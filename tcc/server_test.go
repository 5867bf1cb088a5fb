package tcc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

const method = "/shop.Account/TryDebit"

// bench is one interceptor with what it logs and measures.
type bench struct {
	intercept grpc.UnaryServerInterceptor
	log       bytes.Buffer
	metrics   *sdkmetric.ManualReader
}

func newBench(t *testing.T, cfg tcc.ServerConfig) *bench {
	t.Helper()
	b := &bench{metrics: sdkmetric.NewManualReader()}
	cfg.Logger = slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.metrics))
	var err error
	b.intercept, err = tcc.UnaryServerInterceptor(cfg)
	require.NoError(t, err)
	return b
}

func (b *bench) call(ctx context.Context, handler grpc.UnaryHandler) (any, error) {
	return b.intercept(ctx, "request", &grpc.UnaryServerInfo{FullMethod: method}, handler)
}

// arriving is the context of a call as its server sees it.
func arriving(ctx context.Context, b tcc.Branch, signature string) context.Context {
	md, _ := metadata.FromOutgoingContext(tcc.Outgoing(ctx, b, signature))
	return metadata.NewIncomingContext(ctx, md)
}

func try() tcc.Branch { return tcc.Branch{GID: "gid-1", ID: "01", Phase: tcc.Try, Method: method} }

func failing(err error) grpc.UnaryHandler {
	return func(context.Context, any) (any, error) { return nil, err }
}

func TestBranchArrives(t *testing.T) {
	b := newBench(t, tcc.ServerConfig{})
	resp, err := b.call(arriving(t.Context(), try(), ""), func(ctx context.Context, _ any) (any, error) {
		got, ok := tcc.FromContext(ctx)
		assert.True(t, ok)
		assert.Equal(t, try(), got)
		return "response", nil
	})
	require.NoError(t, err)
	require.Equal(t, "response", resp)
}

func TestStatusOfErrors(t *testing.T) {
	secret := errors.New("Error 1064: near SECRET")
	for _, c := range []struct {
		name    string
		phase   tcc.Phase
		err     error
		code    codes.Code
		reason  string
		outcome tcc.Outcome
	}{
		{"rejection", tcc.Try, tcc.Reject("LOW", "too low", map[string]string{"left": "3"}), codes.Aborted, "LOW", tcc.Rejected},
		{"wrapped rejection", tcc.Try, fmt.Errorf("debit: %w", tcc.Reject("LOW", "", nil)), codes.Aborted, "LOW", tcc.Rejected},
		{"rejection in confirm", tcc.Confirm, tcc.Reject("LOW", "", nil), codes.Internal, "", tcc.Failed},
		{"rejection in cancel", tcc.Cancel, tcc.Reject("LOW", "", nil), codes.Internal, "", tcc.Failed},
		{"pending", tcc.Confirm, tcc.Pending("the bank is slow"), codes.FailedPrecondition, tcc.ReasonPending, tcc.StillWorking},
		{"retry", tcc.Try, tcc.Retry(secret), codes.Unavailable, "", tcc.Unavailable},
		{"conflict", tcc.Confirm, &tcc.ConflictError{Branch: try(), State: "CANCELLED"}, codes.Internal, tcc.ReasonConflict, tcc.Conflict},
		{"invalid", tcc.Try, tcc.Invalidf("amount is %d", -1), codes.InvalidArgument, "", tcc.Invalid},
		{"no branch", tcc.Try, tcc.ErrNoBranch, codes.InvalidArgument, "", tcc.Invalid},
		{"deadline", tcc.Try, fmt.Errorf("%w: %w", secret, context.DeadlineExceeded), codes.DeadlineExceeded, "", tcc.Unavailable},
		{"cancelled", tcc.Try, context.Canceled, codes.Canceled, "", tcc.Unavailable},
		{"raw aborted", tcc.Try, status.Error(codes.Aborted, "from elsewhere"), codes.Internal, "", tcc.Failed},
		{"raw failed precondition", tcc.Cancel, status.Error(codes.FailedPrecondition, "from elsewhere"), codes.Internal, "", tcc.Failed},
		{"raw unavailable", tcc.Try, status.Error(codes.Unavailable, "downstream"), codes.Unavailable, "", tcc.Unavailable},
		{"raw exhausted", tcc.Try, status.Error(codes.ResourceExhausted, "full"), codes.Unavailable, "", tcc.Unavailable},
		{"raw invalid", tcc.Try, status.Error(codes.InvalidArgument, "sku"), codes.InvalidArgument, "", tcc.Invalid},
		{"unknown", tcc.Try, secret, codes.Internal, "", tcc.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, tcc.ServerConfig{})
			br := try()
			br.Phase = c.phase
			_, err := b.call(arriving(t.Context(), br, ""), failing(c.err))
			st, ok := status.FromError(err)
			require.True(t, ok)
			require.Equal(t, c.code, st.Code(), st.Message())
			require.NotContains(t, st.Message(), "SECRET", "text for the log must not leave the process")
			reason := ""
			for _, d := range st.Details() {
				if info, ok := d.(*errdetails.ErrorInfo); ok {
					require.Equal(t, tcc.Domain, info.GetDomain())
					reason = info.GetReason()
				}
			}
			require.Equal(t, c.reason, reason)
			require.Equal(t, c.outcome, b.outcome(t, c.phase))
			require.Contains(t, b.log.String(), "gid=gid-1")
		})
	}
}

// outcome reads the outcome of the one delivery off the metrics.
func (b *bench) outcome(t *testing.T, phase tcc.Phase) tcc.Outcome {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, b.metrics.Collect(t.Context(), &rm))
	require.Len(t, rm.ScopeMetrics, 1)
	h, ok := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64])
	require.True(t, ok)
	require.Len(t, h.DataPoints, 1)
	p := h.DataPoints[0]
	require.EqualValues(t, 1, p.Count)
	want := attribute.NewSet(
		attribute.String("service", "shop.Account"), attribute.String("action", "Debit"),
		attribute.String("phase", phase.String()), attribute.String("outcome", value(p.Attributes, "outcome")))
	require.True(t, want.Equals(&p.Attributes), "%v", p.Attributes.ToSlice())
	return tcc.Outcome(value(p.Attributes, "outcome"))
}

func value(s attribute.Set, key attribute.Key) string {
	v, _ := s.Value(key)
	return v.AsString()
}

func TestPanicIsContained(t *testing.T) {
	b := newBench(t, tcc.ServerConfig{})
	_, err := b.call(arriving(t.Context(), try(), ""), func(_ context.Context, req any) (any, error) {
		return req.(int), nil // it is a string
	})
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "interface conversion")
	require.Contains(t, b.log.String(), "interface conversion")
	require.Contains(t, b.log.String(), "server_test.go", "the stack is logged")
}

func TestHalfABranchIsRefused(t *testing.T) {
	for name, change := range map[string]func(metadata.MD){
		"no gid":         func(md metadata.MD) { md.Delete("dtm-gid") },
		"no branch id":   func(md metadata.MD) { md.Delete("dtm-branch_id") },
		"no op":          func(md metadata.MD) { md.Delete("dtm-op") },
		"unknown op":     func(md metadata.MD) { md.Set("dtm-op", "action") },
		"two gids":       func(md metadata.MD) { md.Append("dtm-gid", "gid-2") },
		"a saga":         func(md metadata.MD) { md.Set("dtm-trans_type", "saga") },
		"a long gid":     func(md metadata.MD) { md.Set("dtm-gid", string(bytes.Repeat([]byte("g"), 129))) },
		"a space":        func(md metadata.MD) { md.Set("dtm-branch_id", "0 1") },
		"two signatures": func(md metadata.MD) { md.Set(tcc.SignatureHeader, "a", "b") },
	} {
		t.Run(name, func(t *testing.T) {
			md, _ := metadata.FromOutgoingContext(tcc.Outgoing(t.Context(), try(), ""))
			change(md)
			b := newBench(t, tcc.ServerConfig{})
			_, err := b.call(metadata.NewIncomingContext(t.Context(), md), func(context.Context, any) (any, error) {
				t.Error("the handler ran")
				return nil, nil
			})
			require.Equal(t, codes.InvalidArgument, status.Code(err))
		})
	}
}

func TestCallOutsideATransaction(t *testing.T) {
	b := newBench(t, tcc.ServerConfig{})
	_, err := b.call(t.Context(), func(ctx context.Context, _ any) (any, error) {
		_, ok := tcc.FromContext(ctx)
		assert.False(t, ok)
		return nil, status.Error(codes.FailedPrecondition, "its own status")
	})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	_, err = b.call(t.Context(), failing(errors.New("SECRET")))
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "SECRET")
	_, err = b.call(t.Context(), failing(tcc.ErrNoBranch))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestValidationIsForTryOnly(t *testing.T) {
	b := newBench(t, tcc.ServerConfig{Validate: func(any) error { return errors.New("amount must be positive") }})
	for phase, want := range map[tcc.Phase]codes.Code{tcc.Try: codes.InvalidArgument, tcc.Confirm: codes.OK, tcc.Cancel: codes.OK} {
		br := try()
		br.Phase = phase
		_, err := b.call(arriving(t.Context(), br, ""), failing(nil))
		require.Equal(t, want, status.Code(err), phase)
	}
	_, err := b.call(t.Context(), failing(nil))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "amount must be positive", status.Convert(err).Message())
}

// A panic on what somebody sent must not end the process of all.
func TestAPanicOfTheValidationIsAnError(t *testing.T) {
	b := newBench(t, tcc.ServerConfig{Validate: func(req any) error { return req.(error) }}) // it is a string
	for _, ctx := range []context.Context{arriving(t.Context(), try(), ""), t.Context()} {
		_, err := b.call(ctx, failing(nil))
		require.Equal(t, codes.Internal, status.Code(err))
		require.NotContains(t, err.Error(), "interface conversion")
	}
	require.Contains(t, b.log.String(), "interface conversion")
}

func TestUnsignedCallsAreRefused(t *testing.T) {
	ring := keyring(t, "a", "a")
	b := newBench(t, tcc.ServerConfig{Keys: ring})
	now := time.Now()
	for _, c := range []struct {
		name, signature string
		phase           tcc.Phase
		want            codes.Code
	}{
		{"signed", ring.Sign("gid-1", now), tcc.Try, codes.OK},
		{"missing", "", tcc.Try, codes.PermissionDenied},
		{"of another gid", ring.Sign("gid-2", now), tcc.Try, codes.PermissionDenied},
		{"an old try", ring.Sign("gid-1", now.Add(-25*time.Hour)), tcc.Try, codes.PermissionDenied},
		{"an old confirm", ring.Sign("gid-1", now.Add(-25*time.Hour)), tcc.Confirm, codes.OK},
		{"an old cancel", ring.Sign("gid-1", now.Add(-25*time.Hour)), tcc.Cancel, codes.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			br := try()
			br.Phase = c.phase
			_, err := b.call(arriving(t.Context(), br, c.signature), failing(nil))
			require.Equal(t, c.want, status.Code(err), "%v", err)
		})
	}
}
