package localserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/remoting"
)

const (
	brokerCluster = "DefaultCluster"
	brokerName    = "broker-a"
)

// A broker listens on its port, for a second way in on the port two below, and for replicas on a third.
const vipDistance = 2

// brokerPort returns a port for the broker, the one two below which is free, too, and sets that for
// replicas. freeport has not claimed the one below; should somebody take it meanwhile, the broker's start
// fails and others are chosen.
func (r *RocketMQ) brokerPort() (port int, err error) {
	if r.haPort, err = freeport.Loopback(); err != nil {
		return 0, err
	}
	for {
		port, err = freeport.Loopback()
		if err != nil || isFree(port-vipDistance) {
			return port, err
		}
	}
}

func isFree(port int) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && l.Close() == nil
}

func (r *RocketMQ) namesConf() map[string]string {
	return map[string]string{
		"bindAddress":  "127.0.0.1",
		"listenPort":   strconv.Itoa(r.names.port),
		"kvConfigPath": r.kvPath(),
	}
}

func (r *RocketMQ) brokerConf() map[string]string {
	conf := map[string]string{
		"brokerClusterName": brokerCluster,
		"brokerName":        brokerName,
		"brokerId":          "0",
		"namesrvAddr":       r.names.addr(),
		"brokerIP1":         "127.0.0.1",
		"brokerIP2":         "127.0.0.1",
		"bindAddress":       "127.0.0.1",
		"listenPort":        strconv.Itoa(r.broker.port),
		"haListenPort":      strconv.Itoa(r.haPort),
		"storePathRootDir":  r.storePath(),
		// Topics that nobody made are an error.
		"autoCreateTopicEnable": "false",
		// How soon it makes itself known to a name server that was restarted; less is not taken.
		"registerNameServerPeriod": "10000",
		// Small files, for each of them is mapped as a whole.
		"mappedFileSizeCommitLog":    "67108864",
		"mappedFileSizeConsumeQueue": "60000",
		"maxHashSlotNum":             "10000",
		"maxIndexNum":                "40000",
		// A request waits this long for its turn before it is refused as "broker busy"; by default 0.2 s,
		// which a machine that runs tests on all its cores may take.
		"waitTimeMillsInSendQueue": "5000",
		"transactionTimeOut":       "1000",
		"transactionCheckInterval": "1000",
		"transactionCheckMax":      "60",
	}
	maps.Copy(conf, r.cfg.BrokerOptions)
	return conf
}

func (r *RocketMQ) kvPath() string { return filepath.Join(r.names.dir, "kv.json") }

func (r *RocketMQ) storePath() string { return filepath.Join(r.broker.dir, "store") }

// Codes of requests.
const (
	codeBrokerConfig = 26
	codeClusterInfo  = 106
	codeNamesConfig  = 319
)

// checkNames asks the name server where it stores its settings, to tell it from one of another process
// that was quicker to take the port.
func (r *RocketMQ) checkNames(ctx context.Context) error {
	return checkProperty(ctx, r.names.addr(), codeNamesConfig, "kvConfigPath", r.kvPath())
}

// checkBroker asks the broker where it stores messages, and the name server whether it knows the broker.
func (r *RocketMQ) checkBroker(ctx context.Context) error {
	if err := checkProperty(ctx, r.broker.addr(), codeBrokerConfig, "storePathRootDir", r.storePath()); err != nil {
		return err
	}
	info, err := ask(ctx, r.names.addr(), codeClusterInfo)
	if err == nil && !bytes.Contains(info, []byte(strconv.Quote(r.broker.addr()))) {
		err = fmt.Errorf("the name server does not know the broker at %s", r.broker.addr())
	}
	return err
}

// ask sends a request without fields and returns the response's body.
func ask(ctx context.Context, addr string, code int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	response, err := remoting.Call(ctx, addr, remoting.Command{Code: code})
	return response.Body, err
}

// checkProperty asks a server for its settings and compares one of them.
func checkProperty(ctx context.Context, addr string, code int, key, want string) error {
	body, err := ask(ctx, addr, code)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), key+"="); ok && value == want {
			return nil
		}
	}
	return fmt.Errorf("%s is the address of a server that does not store its data in %s", addr, want)
}
