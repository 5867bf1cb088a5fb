package localserver_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/localserver"
	"github.com/tcckit/tcckit/internal/remoting"
)

// Codes of requests.
const (
	codeSend        = 10
	codeCreateTopic = 17
	codeMaxOffset   = 30
	codeRoute       = 105
)

// call sends the broker or the name server a request.
func call(ctx context.Context, addr string, code int, fields map[string]string, body string) (remoting.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return remoting.Call(ctx, addr, remoting.Command{Code: code, Fields: fields, Body: []byte(body)})
}

func TestRocketMQKeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs the real servers that make test installs")
	}
	r, err := localserver.StartRocketMQ(t.Context(), localserver.RocketMQConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	ctx, names, broker := t.Context(), r.NameServer(), r.Broker()
	_, err = call(ctx, broker, codeCreateTopic, map[string]string{
		"topic": "t", "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1", "perm": "6",
		"topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
	}, "")
	require.NoError(t, err)
	_, err = call(ctx, broker, codeSend, map[string]string{
		"producerGroup": "g", "topic": "t", "defaultTopic": "TBW102", "defaultTopicQueueNums": "1", "queueId": "0",
		"sysFlag": "0", "bornTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10), "flag": "0", "properties": "", "reconsumeTimes": "0",
	}, "hello")
	require.NoError(t, err)

	require.NoError(t, r.KillBroker())
	require.NoError(t, r.KillNameServer())
	_, err = net.DialTimeout("tcp", broker, time.Second)
	require.ErrorContains(t, err, "refused")
	require.NoError(t, r.RestartNameServer(ctx))
	require.NoError(t, r.RestartBroker(ctx))

	require.Equal(t, []string{names, broker}, []string{r.NameServer(), r.Broker()})
	_, err = call(ctx, names, codeRoute, map[string]string{"topic": "t"}, "")
	require.NoError(t, err)
	answer, err := call(ctx, broker, codeMaxOffset, map[string]string{"topic": "t", "queueId": "0"}, "")
	require.NoError(t, err)
	require.Equal(t, "1", answer.Fields["offset"])

	require.ErrorContains(t, r.RestartBroker(ctx), "runs already")
	require.ErrorContains(t, r.RestartNameServer(ctx), "runs already")
	require.NoError(t, r.Stop())
	require.NoError(t, r.Stop())
}

func TestFailedStartOfRocketMQShowsItsLog(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs the real servers that make test installs")
	}
	_, err := localserver.StartRocketMQ(t.Context(), localserver.RocketMQConfig{
		Dir: t.TempDir(), BrokerOptions: map[string]string{"storePathRootDir": "/proc/nonsense"},
	})
	require.ErrorContains(t, err, "broker did not start")
	require.ErrorContains(t, err, "nonsense")
}
