package event

import "github.com/tcckit/tcckit/messaging/inbox"

// Consumer is what a service does about the messages of a topic.
type Consumer struct {
	// Name is the consumer's in its inbox, and its group at the broker.
	Name string
	// Topic is where the messages come from.
	Topic string
	// Handler handles one.
	Handler inbox.Handler
}
