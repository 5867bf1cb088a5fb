package rocketmq_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(envChild); order != "" {
		if err := runChild(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if order := os.Getenv(envTransactionChild); order != "" {
		if err := runTransactionChild(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if code == 0 {
		if err := leaks(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// leaks reports goroutines that are left, but for the client's own: it leaves
// some 30 of them per consumer, which sleep for up to a month, and what asks a
// broker for messages, for up to 30 s. Nothing of ours waits in one of them.
func leaks() error {
	const client = "github.com/apache/rocketmq-client-go/v2/"
	return goleak.Find(
		goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"), // of the client, from the beginning
		// Of watermill's suite, which leaves a message that it does not take.
		goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe.func2"),
		goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe.func3"),
		goleak.IgnoreAnyFunction(client+"primitive.WithRecover"),
		goleak.IgnoreAnyFunction(client+"consumer.(*defaultPullConsumer).pullMessage"),
		goleak.IgnoreAnyFunction(client+"internal.(*rmqClient).RebalanceImmediately"),
	)
}
