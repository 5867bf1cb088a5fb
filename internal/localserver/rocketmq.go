package localserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tcckit/tcckit/internal/freeport"
)

// RocketMQConfig says how to start a RocketMQ.
type RocketMQConfig struct {
	// Programs is the folder that deploy/local/get-servers.sh filled; empty: FindPrograms.
	Programs string
	// Dir keeps what the servers store: an absolute path of a folder, which is empty or has what servers of
	// an earlier start have left there: topics, messages and how far groups have read them. Stop leaves
	// what is in it. A broker refuses messages when the file system of it is 90 % full.
	Dir string
	// BrokerOptions are settings of broker.conf, on top of or instead of those made here.
	BrokerOptions map[string]string
}

// RocketMQ is a name server and one broker, which creates no topics by itself, asks about half messages
// from the first second on, every second, 60 times, and flushes to disk as a broker does by default: after
// it has acknowledged, so that a kill of the process loses nothing. Of the methods that
// concern one of the two only one may run at a time. The servers cannot outlive this process.
type RocketMQ struct {
	cfg    RocketMQConfig
	names  *javaServer
	broker *javaServer
	haPort int // where a replica of the broker would ask
}

// StartRocketMQ starts a name server and a broker on free ports, and returns when clients can find the
// broker and it answers, after about three seconds.
func StartRocketMQ(ctx context.Context, cfg RocketMQConfig) (_ *RocketMQ, err error) {
	if cfg.Programs, err = findLauncher(cfg.Programs, KindRocketMQ); err != nil {
		return nil, err
	}
	if cfg.Dir, err = filepath.EvalSymlinks(cfg.Dir); err != nil { // as the servers will name it
		return nil, fmt.Errorf("localserver: %s: %w", KindRocketMQ, err)
	}
	r := &RocketMQ{cfg: cfg}
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("localserver: %s: %w", KindRocketMQ, err)
	}
	if err := r.names.startFirst(ctx, freeport.Loopback, r.namesConf); err != nil {
		return nil, err
	}
	if err := r.broker.startFirst(ctx, r.brokerPort, r.brokerConf); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// prepare makes the servers' folders and what both of them read.
func (r *RocketMQ) prepare() error {
	logback := filepath.Join(r.cfg.Dir, "logback.xml")
	if err := os.WriteFile(logback, []byte(logbackConfig), 0o600); err != nil {
		return err
	}
	server := func(name, main string, heap ...string) *javaServer {
		return &javaServer{
			name: name, main: main, heap: heap, logback: logback,
			dir: filepath.Join(r.cfg.Dir, name), programs: filepath.Join(r.cfg.Programs, string(KindRocketMQ)),
		}
	}
	r.names = server("namesrv", "org.apache.rocketmq.namesrv.NamesrvStartup", "-Xms32m", "-Xmx128m")
	r.names.check = r.checkNames
	r.broker = server("broker", "org.apache.rocketmq.broker.BrokerStartup", "-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=256m")
	r.broker.check = r.checkBroker
	return errors.Join(os.MkdirAll(r.names.dir, 0o700), os.MkdirAll(r.broker.dir, 0o700))
}

// NameServer is the name server's address, host:port, which is what clients are given. It stays the same
// across restarts.
func (r *RocketMQ) NameServer() string { return r.names.addr() }

// Broker is the broker's address, host:port. It stays the same across restarts.
func (r *RocketMQ) Broker() string { return r.broker.addr() }

// KillBroker ends the broker at once, as SIGKILL does, and returns when it is gone. What it stored stays.
func (r *RocketMQ) KillBroker() error { return r.broker.kill() }

// RestartBroker starts the broker again, at its address and with what it stored, and returns when clients
// can find it and it answers. The name server must run.
func (r *RocketMQ) RestartBroker(ctx context.Context) error { return r.broker.start(ctx) }

// KillNameServer ends the name server at once. It stores nothing.
func (r *RocketMQ) KillNameServer() error { return r.names.kill() }

// RestartNameServer starts the name server again, at its address, and returns when it answers. A broker
// that runs makes itself known to it within ten seconds.
func (r *RocketMQ) RestartNameServer(ctx context.Context) error { return r.names.start(ctx) }

// BrokerDone is closed when the broker ends that was last started.
func (r *RocketMQ) BrokerDone() <-chan struct{} { return r.broker.process.Done() }

// NameServerDone is closed when the name server ends that was last started.
func (r *RocketMQ) NameServerDone() <-chan struct{} { return r.names.process.Done() }

// Stop ends both servers, at once: an orderly stop of a broker takes 15 seconds, and clients notice no
// difference.
func (r *RocketMQ) Stop() error { return errors.Join(r.broker.kill(), r.names.kill()) }

// Log returns the last lines of what both servers logged since each was last started: warnings and errors.
func (r *RocketMQ) Log() string { return r.names.log() + r.broker.log() }
