package demo

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	for amount, want := range map[int64]string{
		0: "0.00", 5: "0.05", 123: "1.23", 99_999: "999.99", 100_000: "1,000.00", 123_456_789: "1,234,567.89", -5: "-0.05", -123_456: "-1,234.56",
	} {
		require.Equal(t, want, euros(amount))
	}
	require.Equal(t, "-123", thousands(-123))
	require.Equal(t, "-1,234", thousands(-1234))
}

func TestFiguresSideBySide(t *testing.T) {
	t.Parallel()
	before := figures{&accountpb.Account{AccountId: "alice", Available: 100_000}, &stockpb.Item{Sku: "teapot", Available: 10}}
	after := figures{&accountpb.Account{AccountId: "alice", Available: 90_200, Spent: 9800}, &stockpb.Item{Sku: "teapot", Available: 8, Sold: 2}}
	require.NoError(t, after.must(before.bought(9800, 2)))
	require.ErrorContains(t, after.must(before.numbers()), "[90200 0 9800 8 0 2]")

	var out strings.Builder
	newPrinter(&out).compare([]string{"before", "after"}, before, after)
	require.Equal(t, `                          before    after
     alice   available  1,000.00   902.00
             frozen         0.00     0.00
             spent          0.00    98.00
     teapot  available        10        8
             reserved          0        0
             sold              0        2
`, out.String())
}

func TestNothingMovesWithoutATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newPrinter(&out)
	p.progress(1, 2, "half")
	p.endProgress()
	require.Empty(t, out.String())
	p.step("A step")
	p.held("it %s", "held")
	p.failed(errors.New("it did not:\nhere"))
	require.Equal(t, "\n1  A step\n   ✓ it held\n   ✗ it did not:\n     here\n", out.String())
}
