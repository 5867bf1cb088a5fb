package testserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/remoting"
	"github.com/tcckit/tcckit/internal/testserver"
)

func TestSharedRocketMQHasABroker(t *testing.T) {
	t.Parallel()
	const clusterInfo = 106
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := remoting.Call(ctx, testserver.RocketMQ(t), remoting.Command{Code: clusterInfo})
	require.NoError(t, err)
	require.Contains(t, string(answer.Body), "127.0.0.1:")
}

func TestTopicsAreUniqueAndValid(t *testing.T) {
	t.Parallel()
	t.Run("a name with / and Ünïcode that is longer than a topic's may be, which is 127 characters", func(t *testing.T) {
		t.Parallel()
		a, b := testserver.Topic(t), testserver.Topic(t)
		require.NotEqual(t, a, b)
		require.Regexp(t, `^[a-zA-Z0-9-]{20,71}$`, a)
	})
}
