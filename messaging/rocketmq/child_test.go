package rocketmq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// envChild makes the test binary a process that consumes, and is killed or asked
// to end on the way: see TestConsumerEndsInTheMiddle.
const envChild = "TCCKIT_TEST_ROCKETMQ_CHILD"

// errand is what a child does.
type errand struct {
	NameServer, Group, Topic string
}

// runChild consumes until its standard input is closed, and then closes the bus
// in an orderly way. It writes a line for each message before it acknowledges
// it, and one when it is closed.
func runChild(order string) error {
	var e errand
	if err := json.Unmarshal([]byte(order), &e); err != nil {
		return err
	}
	ctx := context.Background()
	bus, err := rocketmq.Open(ctx, rocketmq.Config{NameServers: []string{e.NameServer}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	s, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: e.Group, Handlers: 4, DrainTimeout: 20 * time.Second})
	if err != nil {
		return err
	}
	out, err := s.Subscribe(ctx, e.Topic)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // returns when it is closed
		ended <- bus.Close()
	}()
	for m := range out {
		handleSlowly(m)
	}
	if err := <-ended; err != nil {
		return err
	}
	fmt.Println("closed")
	return nil
}

// handleSlowly makes it likely that an end comes while a message is handled.
func handleSlowly(m *message.Message) {
	go func() {
		timer := time.NewTimer(5 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		fmt.Println(m.UUID)
		m.Ack()
	}()
}
