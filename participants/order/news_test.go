package order

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

func TestNews(t *testing.T) {
	t.Parallel()
	n := newNews()
	one, two, other := n.subscribe("g"), n.subscribe("g"), n.subscribe("other")
	n.publish("g", pb.OrderStatus_ORDER_STATUS_UNSPECIFIED)
	n.publish("g", pb.OrderStatus_ORDER_STATUS_CONFIRMED) // does not block, and wins
	n.publish("nobody", pb.OrderStatus_ORDER_STATUS_CONFIRMED)
	require.Equal(t, pb.OrderStatus_ORDER_STATUS_CONFIRMED, <-one.C)
	require.Equal(t, pb.OrderStatus_ORDER_STATUS_CONFIRMED, <-two.C)
	require.Empty(t, one.C)
	require.Empty(t, other.C)

	one.Close()
	n.publish("g", pb.OrderStatus_ORDER_STATUS_CANCELLED)
	require.Empty(t, one.C)
	require.Equal(t, pb.OrderStatus_ORDER_STATUS_CANCELLED, <-two.C)
	two.Close()
	other.Close()
	require.Empty(t, n.waiting, "nothing is kept of what is over")
}
