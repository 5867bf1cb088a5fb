package outbox

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Queues is where something is due, as "STATE topic", in order.
func Queues(ctx context.Context, t testing.TB, o *Outbox) []string {
	t.Helper()
	queues, err := o.queues(ctx)
	require.NoError(t, err)
	var names []string
	for _, q := range queues {
		names = append(names, string(q.state)+" "+q.topic)
	}
	slices.Sort(names)
	return names
}
