package messaging

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// The metadata that adapters and the packages of messaging understand. Other
// keys are the application's; those that begin with "tcckit-" are reserved.
const (
	// MetadataKey groups messages: those with one key, on an ordered topic,
	// arrive in the order in which they were published. RocketMQ shards by it
	// and finds messages by it (its KEYS).
	MetadataKey = "tcckit-key"
	// MetadataTag is what RocketMQ's consumers and console filter by.
	MetadataTag = "tcckit-tag"
	// MetadataDelay is how long the broker keeps a message back, such as
	// "1m30s". A broker that cannot delay refuses it.
	MetadataDelay = "tcckit-delay"
	// MetadataResultTopic is where the sender of a message expects its result.
	MetadataResultTopic = "tcckit-result-topic"
	// MetadataResultOf is the id of the message that a result is about,
	// MetadataOutcome CONFIRMED or FAILED, MetadataReason why it failed.
	MetadataResultOf = "tcckit-result-of"
	MetadataOutcome  = "tcckit-outcome"
	MetadataReason   = "tcckit-reason"
	// MetadataTopic and MetadataConsumer say of a dead letter where it came
	// from and who gave it up, MetadataTries after how many tries.
	MetadataTopic    = "tcckit-topic"
	MetadataConsumer = "tcckit-consumer"
	MetadataTries    = "tcckit-tries"
)

// SetDelay has the broker keep m back for d.
func SetDelay(m *message.Message, d time.Duration) { m.Metadata.Set(MetadataDelay, d.String()) }
