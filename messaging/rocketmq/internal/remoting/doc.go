// Package remoting asks a RocketMQ server one thing at a time: which brokers
// there are, where a topic lies, how far a group has read; and it has a broker
// create a topic.
//
// The Go client's own administration ignores a broker's refusal and the
// caller's context, and cannot tell which brokers there are. This is the little
// of the protocol that this takes: a request per connection, which a context
// ends.
package remoting
