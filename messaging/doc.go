// Package messaging holds what the packages below it share: how a database is
// spoken to, the transaction that a message is written in, and the metadata
// that an adapter understands.
//
// All of them see watermill's message.Message, Publisher and Subscriber, so
// that any of watermill's brokers can take RocketMQ's place.
//
//   - outbox writes messages in the transaction of the business change, and
//     publishes them afterwards;
//   - inbox handles each message once, in the transaction of its work;
//   - rocketmq is the broker.
package messaging
