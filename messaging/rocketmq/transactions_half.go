package rocketmq

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/google/uuid"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

// The properties of a half message, beside those of every message.
const (
	propertyTransaction = "tcckit-transaction" // id in the log
	propertyTopic       = "tcckit-topic"       // as the application has it
	propertyBegan       = "tcckit-began"       // database's time in Unix ms
	propertyLog         = "tcckit-log"         // name of the log
)

// half is a half message that a broker has stored.
type half struct {
	entry
	began  time.Time
	broker string
	remoting.Check
}

// sendHalf sends a half message once. The caller calls release when the
// transaction has ended. The client does not heed ctx while it looks for a
// broker, so that it is left alone when ctx ends: see publisher.attempt. What it
// has sent in the end is rolled back.
func (t *Transactions) sendHalf(ctx context.Context, topic string, msg *message.Message) (half, func(), error) {
	id, err := uuid.NewV7()
	if err != nil {
		return half{}, nil, fmt.Errorf("make an id: %w", err)
	}
	out, err := encode(atBroker(topic), msg, t.bus.trace(msg))
	if err != nil {
		return half{}, nil, err
	}
	h, release := half{entry: entry{id.String(), msg.UUID, topic}}, func() { <-t.slots }
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return half{}, nil, messaging.Unavailable(fmt.Errorf("%d transactions are under way: %w", t.cfg.Transactions, ctx.Err()))
	}
	h.began = time.Now()
	out.WithProperty(propertyTransaction, h.id)
	out.WithProperty(propertyTopic, topic)
	out.WithProperty(propertyBegan, strconv.FormatInt(t.log.clock(), 10))
	out.WithProperty(propertyLog, t.log.name)
	out.WithProperty(primitive.PropertyTransactionPrepared, "true")
	out.WithProperty(primitive.PropertyProducerGroup, t.cfg.Group) // whom the broker asks
	type answer struct {
		res *primitive.SendResult
		err error
	}
	answers := make(chan answer) // to whoever still waits
	gone := make(chan struct{})
	t.busy.Go(func() {
		res, err := t.sendSync(ctx, out.Message)
		select {
		case answers <- answer{res, err}:
		case <-gone:
			if err == nil {
				t.tell(ctx, h.stored(res), remoting.Rollback)
			}
			release()
		}
	})
	select {
	case a := <-answers:
		switch {
		case a.err != nil:
			err = t.bus.classify(ctx, atBroker(topic), a.err)
		case a.res.Status != primitive.SendOK:
			t.tell(ctx, h.stored(a.res), remoting.Rollback)
			err = messaging.Unavailable(fmt.Errorf("the broker has stored it, but not as safely as it is set up to: %s", status(a.res.Status)))
		default:
			return h.stored(a.res), release, nil
		}
		release()
		return half{}, nil, err
	case <-ctx.Done():
		close(gone)
		return half{}, nil, messaging.Unavailable(errNoAnswer)
	}
}

// stored adds where the broker has stored the half message.
func (h half) stored(res *primitive.SendResult) half {
	h.broker = res.MessageQueue.BrokerName
	h.Check = remoting.Check{Offset: res.QueueOffset, MessageID: res.MsgID, TransactionID: res.TransactionID}
	if id, err := primitive.UnmarshalMsgID([]byte(res.OffsetMsgID)); err == nil {
		h.Position = id.Offset
	} else {
		h.broker = "" // it cannot be told, and asks
	}
	return h
}

func (t *Transactions) sendSync(ctx context.Context, msg *primitive.Message) (res *primitive.SendResult, err error) {
	defer func() {
		if v := recover(); v != nil {
			t.bus.cfg.Logger.ErrorContext(ctx, "rocketmq: the client panicked", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the client panicked: %v", v)
		}
	}()
	return t.producer.SendSync(ctx, msg)
}
