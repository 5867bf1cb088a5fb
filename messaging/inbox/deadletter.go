package inbox

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
)

// maxReason bounds the reason in a dead letter's metadata, in bytes: brokers
// bound all of it, RocketMQ at 32 KB.
const maxReason = 1024

// publish publishes a dead letter. It may be published twice, when the process
// dies before that is written down; it has the message's id.
func (i *Inbox) publish(ctx context.Context, r *run) {
	bounded, cancel := context.WithTimeout(ctx, i.cfg.Timeout)
	defer cancel()
	letter := i.deadLetter(bounded, r)
	err := guard(ctx, i.cfg.Logger, func() error { return i.cfg.DeadLetters.Publish(i.cfg.DeadLetterTopic, letter) })
	var due any // never again
	if err != nil {
		n := i.unpublished.Add(1)
		delay := i.cfg.Backoff.after(int(min(n, 16)))
		if errors.Is(err, messaging.ErrPermanent) {
			delay = i.cfg.Backoff.Max
		}
		due = delay.Milliseconds()
		if ctx.Err() == nil {
			i.cfg.Logger.WarnContext(ctx, "inbox: a dead letter could not be published, it is tried again", "message_id", r.id, "topic", i.cfg.DeadLetterTopic, "after", delay.String(), "error", err)
		}
	} else {
		i.unpublished.Store(0)
	}
	settle, cancelSettle := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancelSettle()
	// errExists: it was replayed meanwhile.
	if err := i.update(settle, i.sql.published, due, i.cfg.Consumer, r.id, r.claim); err != nil && !errors.Is(err, errExists) {
		i.cfg.Logger.WarnContext(ctx, "inbox: that a dead letter was published could not be written down, it is published again", "message_id", r.id, "error", err)
	}
	i.telemetry.buried(ctx, err == nil)
}

// deadLetter is the message with what became of it.
func (i *Inbox) deadLetter(ctx context.Context, r *run) *message.Message {
	letter := r.msg.Copy()
	letter.SetContext(ctx)
	delete(letter.Metadata, messaging.MetadataDelay)
	letter.Metadata.Set(messaging.MetadataConsumer, i.cfg.Consumer)
	letter.Metadata.Set(messaging.MetadataReason, reasonText(r.reason))
	letter.Metadata.Set(messaging.MetadataTries, strconv.Itoa(r.tries))
	if i.cfg.Topic != "" {
		letter.Metadata.Set(messaging.MetadataTopic, i.cfg.Topic)
	}
	return letter
}

// reasonText is an error as a broker takes it: brokers refuse control
// characters and drop what is empty.
func reasonText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if s = cut(strings.TrimSpace(s), maxReason); s == "" {
		return "unknown"
	}
	return s
}
