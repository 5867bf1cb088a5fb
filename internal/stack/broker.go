package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/tcckit/tcckit/internal/localserver"
)

// broker is the stack's own RocketMQ: a name server and a broker.
type broker struct{ server *localserver.RocketMQ }

// startBroker starts it on what an earlier one has left in dir.
func startBroker(ctx context.Context, dir string) (*broker, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("stack: RocketMQ: %w", err)
	}
	server, err := localserver.StartRocketMQ(ctx, localserver.RocketMQConfig{Dir: dir, BrokerOptions: map[string]string{
		// A service that is stopped for some hours still finds its half messages.
		"transactionTimeOut": "6000", "transactionCheckInterval": "6000", "transactionCheckMax": "10000",
	}})
	if err != nil {
		return nil, fmt.Errorf("stack: RocketMQ: %w", err)
	}
	return &broker{server}, nil
}

func (b *broker) nameServer() string { return b.server.NameServer() }

func (b *broker) stop() error { return b.server.Stop() }

// supervise starts again what ends by itself, until ctx ends.
func (b *broker) supervise(ctx context.Context, log *slog.Logger) {
	var both sync.WaitGroup
	for _, one := range []struct {
		name    string
		done    func() <-chan struct{}
		kill    func() error
		restart func(context.Context) error
	}{
		{"rocketmq name server", b.server.NameServerDone, b.server.KillNameServer, b.server.RestartNameServer},
		{"rocketmq broker", b.server.BrokerDone, b.server.KillBroker, b.server.RestartBroker},
	} {
		start := func(ctx context.Context) error {
			// The end of one that died by itself is to be taken note of first.
			return errors.Join(one.kill(), one.restart(ctx))
		}
		both.Go(func() { supervise(ctx, log.With("process", one.name), one.done, start) })
	}
	both.Wait()
}
