// Package outbox writes messages in the transaction of the business change, and
// publishes them afterwards.
//
// [Outbox.Write] inserts a row: the message exists if the change does. A [Relay]
// claims rows in a short transaction, publishes them outside of it, and marks
// them, so that each message is published at least once whatever dies on the
// way. Its id tells a receiver what it has had already: see package inbox.
//
// A message may expect a result. The receiver makes one by [ResultOf] and writes
// it to an outbox of its own; the sender hands it to [Outbox.Settle]. Until it
// comes the message is sent again and again.
//
//	NEW --published--> SENT --result--> CONFIRMED or FAILED
//	NEW --tries spent, or refused for good--> FAILED --Retry--> NEW
//	SENT --no result, sends spent--> FAILED --late result--> CONFIRMED or FAILED
//
// MySQL, MariaDB and SQLite are spoken, and any of watermill's publishers will
// do.
package outbox
