// Package event turns the shop's messages into watermill's and back. The payload
// is protobuf's JSON, so that whoever looks at an outbox, a dead letter or the
// broker's console can read it.
package event
