package barrier_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func TestPhaseMethod(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		try   string
		phase tcc.Phase
		want  string // empty: refused
	}{
		{"/shop.v1.Till/TryDebit", tcc.Confirm, "/shop.v1.Till/ConfirmDebit"},
		{"/shop.v1.Till/TryDebit", tcc.Cancel, "/shop.v1.Till/CancelDebit"},
		{"/Try.Try/TryTry", tcc.Cancel, "/Try.Try/CancelTry"},
		{"/shop.v1.Till/Try", tcc.Cancel, "/shop.v1.Till/Cancel"},
		{"/shop.v1.Till/TryDebit", tcc.Try, ""},
		{"/shop.v1.Till/DebitTry", tcc.Confirm, ""},
		{"/shop.v1.Till", tcc.Confirm, ""},
		{"shop.v1.Till/TryDebit", tcc.Confirm, ""},
		{"//TryDebit", tcc.Confirm, ""},
		{"", tcc.Confirm, ""},
	} {
		got, err := barrier.PhaseMethod(c.try, c.phase)
		require.Equal(t, c.want, got, c.try)
		require.Equal(t, c.want == "", err != nil, c.try)
	}
}
