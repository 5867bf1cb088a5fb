package tcc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

func TestRejectionTravels(t *testing.T) {
	for _, r := range []*tcc.Rejection{
		{Reason: "LOW"},
		{Reason: "LOW", Message: "too low"},
		{Reason: "LOW", Message: "too low", Metadata: map[string]string{"left": "3"}},
	} {
		b := newBench(t, tcc.ServerConfig{})
		_, err := b.call(arriving(t.Context(), try(), ""), failing(r))
		got, ok := tcc.RejectionFrom(err)
		require.True(t, ok)
		require.Equal(t, r, got)
	}
}

func TestRejectionFrom(t *testing.T) {
	r, ok := tcc.RejectionFrom(status.Error(codes.Aborted, "FAILURE"))
	require.True(t, ok, "of a participant that is not built with tcckit")
	require.Equal(t, &tcc.Rejection{Reason: "ABORTED", Message: "FAILURE"}, r)

	_, ok = tcc.RejectionFrom(fmt.Errorf("try: %w", tcc.Reject("LOW", "", nil)))
	require.True(t, ok)
	for _, err := range []error{nil, errors.New("x"), status.Error(codes.Unavailable, "x")} {
		_, ok := tcc.RejectionFrom(err)
		require.False(t, ok, "%v", err)
	}
}

func TestFit(t *testing.T) {
	long := strings.Repeat("ä", 3000)
	for name, r := range map[string]*tcc.Rejection{
		"empty":           {},
		"long reason":     {Reason: long},
		"long message":    {Reason: "A", Message: long},
		"long metadata":   {Reason: "A", Metadata: map[string]string{"a": long, "b": "c"}},
		"invalid utf-8":   {Reason: "A\xff", Message: "\xffb", Metadata: map[string]string{"\xff": "\xfe"}},
		"cut in a letter": {Reason: "A", Message: "x" + long},
	} {
		f := r.Fit()
		require.NotEmpty(t, f.Reason, name)
		require.LessOrEqual(t, len(f.Reason), tcc.MaxReasonLen, name)
		n := len(f.Reason) + len(f.Message)
		require.True(t, utf8.ValidString(f.Reason+f.Message), name)
		for k, v := range f.Metadata {
			n += len(k) + len(v)
			require.True(t, utf8.ValidString(k+v), name)
		}
		require.LessOrEqual(t, n, tcc.MaxRejectionLen, name)
		require.Equal(t, f, f.Fit(), "%s: what fits is not changed again", name)
	}
}
