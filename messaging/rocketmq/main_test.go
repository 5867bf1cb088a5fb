package rocketmq_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"testing"
	"time"

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
// some 30 of them per consumer, which sleep for up to a month. What of ours runs
// in one of its goroutines must have come back.
func leaks() error {
	const client = "github.com/apache/rocketmq-client-go/v2/"
	if err := goleak.Find(
		goleak.IgnoreAnyFunction(client+"primitive.WithRecover"),
		goleak.IgnoreAnyFunction(client+"consumer.(*pushConsumer).pullMessage"),
		goleak.IgnoreAnyFunction(client+"internal.(*rmqClient).RebalanceImmediately"),
	); err != nil {
		return err
	}
	var stacks bytes.Buffer
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { //nolint:forbidigo // a condition with a bound
		stacks.Reset()
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			return err
		}
		if !bytes.Contains(stacks.Bytes(), []byte("rocketmq.(*subscription).handle")) && !bytes.Contains(stacks.Bytes(), []byte("rocketmq.(*assignment)")) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the package is still busy in goroutines of the client:\n%s", &stacks)
		}
	}
}
