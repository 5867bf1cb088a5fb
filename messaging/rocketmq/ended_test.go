package rocketmq_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// consumer is a process that consumes: see runChild.
type consumer struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string // closed when the process has ended
}

func startConsumer(t *testing.T, e errand) *consumer {
	t.Helper()
	order, err := json.Marshal(e)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envChild+"="+string(order))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &consumer{t: t, cmd: cmd, stdin: stdin, lines: make(chan string)}
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c
}

// read notes n messages that the process handles.
func (c *consumer) read(n int, handled map[string]int) {
	c.t.Helper()
	for range n {
		select {
		case id, ok := <-c.lines:
			require.True(c.t, ok, "the process has ended")
			handled[id]++
		case <-time.After(patience):
			require.Fail(c.t, "the process handles nothing")
		}
	}
}

// rest notes what the process wrote before it ended, and returns the last line.
func (c *consumer) rest(handled map[string]int) (last string) {
	for last = range c.lines {
		handled[last]++
	}
	return last
}

// TestConsumerEndsInTheMiddle of what it does: each message is handled, and where
// the process ends in an orderly way, once.
func TestConsumerEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end func(t *testing.T, c *consumer, handled map[string]int)
		// once: no message is handled twice.
		once bool
	}{
		"closed": {func(t *testing.T, c *consumer, handled map[string]int) {
			require.NoError(t, c.stdin.Close())
			require.Equal(t, "closed", c.rest(handled))
			delete(handled, "closed")
			require.NoError(t, c.cmd.Wait())
		}, true},
		"killed": {func(t *testing.T, c *consumer, handled map[string]int) {
			require.NoError(t, c.cmd.Process.Kill())
			c.rest(handled)
			require.Error(t, c.cmd.Wait())
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := open(t, rocketmq.Config{})
			topic := newTopic(t, bus, 2)
			rounds := testserver.Volume(2, 10)
			all := messages(60 * rounds)
			require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, all...))
			e := errand{NameServer: testserver.RocketMQ(t), Group: "g", Topic: topic}
			handled := map[string]int{}
			for range rounds {
				c := startConsumer(t, e)
				c.read(min(10, len(all)-len(handled)), handled) // it may have handled many before it ended
				tt.end(t, c, handled)
			}
			last := startConsumer(t, e)
			for len(handled) < len(all) {
				last.read(1, handled)
			}
			require.NoError(t, last.stdin.Close())
			require.Equal(t, "closed", last.rest(handled))
			require.NoError(t, last.cmd.Wait())
			for _, m := range all {
				require.NotZero(t, handled[m.UUID])
				if tt.once {
					require.Equal(t, 1, handled[m.UUID], "message %s", m.Payload)
				}
			}
			lag, err := bus.Lag(t.Context(), "g", topic)
			require.NoError(t, err)
			require.Zero(t, lag)
		})
	}
}
