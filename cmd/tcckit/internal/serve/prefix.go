package serve

import (
	"fmt"
	"regexp"

	"github.com/ThreeDotsLabs/watermill/message"
)

// prefix is what the names of topics and groups begin with at the broker, and nowhere else.
type prefix string

// at is a name as the broker knows it.
func (p prefix) at(name string) string { return string(p) + name }

func (p prefix) validate() error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{0,32}$`).MatchString(string(p)) {
		return fmt.Errorf("the prefix %q of RocketMQ's topics: want at most 32 letters, digits, - and _", string(p))
	}
	return nil
}

// prefixed publishes to topics by their names at the broker.
type prefixed struct {
	message.Publisher
	prefix prefix
}

// Publish implements message.Publisher.
func (p prefixed) Publish(topic string, messages ...*message.Message) error {
	return p.Publisher.Publish(p.prefix.at(topic), messages...)
}
