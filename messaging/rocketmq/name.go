package rocketmq

import (
	"fmt"
	"strings"

	"github.com/tcckit/tcckit/messaging"
)

// The lengths that RocketMQ's brokers allow.
const (
	maxTopic = 127
	maxGroup = 255
)

// checkName reports the name of a topic or group that RocketMQ would refuse, but
// for dots: see atBroker.
func checkName(what, name string, maxLen int) error {
	if name == "" {
		return messaging.Permanent(fmt.Errorf("no %s is given", what))
	}
	if len(name) > maxLen {
		return messaging.Permanent(fmt.Errorf("%s %.40q... has %d characters: want up to %d", what, name, len(name), maxLen))
	}
	bad := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_%|", r)
	})
	if bad >= 0 {
		return messaging.Permanent(fmt.Errorf("%s %q: want letters, digits, . - _ %% and | only", what, name))
	}
	return nil
}

// atBroker is the name of a topic or group as RocketMQ has it, which allows no
// dots: order.confirmed is order_confirmed there.
func atBroker(name string) string { return strings.ReplaceAll(name, ".", "_") }

// groupOf is the consumer group of a subscription. The members of a group must
// subscribe to the same topics, so that each topic has a group of its own.
func groupOf(group, topic string) string { return atBroker(group + "-" + topic) }
