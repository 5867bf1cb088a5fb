package inbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/tcckit/tcckit/messaging"
)

// What the columns of the table hold, in bytes.
const (
	maxConsumer = 64
	maxID       = 128
	maxTopic    = 255
	maxError    = 4096
)

// errNoID says that a duplicate of the message could not be told.
var errNoID = messaging.Permanent(errors.New("the message has no id, so that a duplicate of it could not be told: its publisher must give it one"))

// rowID returns the message id of the row for a message. An id that the column
// cannot hold, or that another could be taken for (MySQL ignores spaces at the
// end), gives way to its SHA-256. A message without one gets one that no other
// has, for its dead letter.
func rowID(uuid string) string {
	if uuid == "" {
		return "no-id-" + rand.Text()
	}
	if len(uuid) <= maxID && strings.IndexFunc(uuid, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
		return uuid
	}
	sum := sha256.Sum256([]byte(uuid))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func validConsumer(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return name != "" && len(name) <= maxConsumer && strings.Trim(name, allowed) == ""
}

// deadLetterTopic is one that RocketMQ takes, which refuses dots.
func deadLetterTopic(consumer string) string {
	return strings.ReplaceAll(consumer, ".", "-") + "-dead"
}
