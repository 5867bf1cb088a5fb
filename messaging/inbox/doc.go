// Package inbox handles each message once, in the transaction of its work.
//
// A consumer has a row for each message in its own database, in the table inbox:
// the row is written in the same transaction as what the message brings about,
// so that a duplicate finds it and is acknowledged without work, and a crash
// leaves both or neither.
//
//	box, err := inbox.New(ctx, inbox.Config{
//		DB: db, Dialect: messaging.MySQL, Consumer: "cart", Topic: "order.confirmed",
//		Handler: func(ctx context.Context, msg *message.Message) (inbox.Work, error) {
//			var e OrderConfirmed
//			if err := proto.Unmarshal(msg.Payload, &e); err != nil {
//				return nil, messaging.Permanent(err)
//			}
//			return func(ctx context.Context, tx *inbox.Tx) error {
//				_, err := tx.ExecContext(ctx, "DELETE FROM cart_line WHERE order_id = ?", e.OrderId)
//				return err
//			}, nil
//		},
//		DeadLetters: publisher,
//	})
//	router.AddNoPublisherHandler("cart", "order.confirmed", subscriber, box.Handle)
//	go box.Run(ctx)
//
// # When a message fails
//
// It is parked: its row takes the payload, the error and the time at which it is
// tried again, and the broker gets its acknowledgement. No handler waits for it
// and no broker counts its tries, which RocketMQ's Go client does wrongly;
// [Inbox.Run] runs it when it is due. After [Config].MaxTries, or at once for
// [messaging.ErrPermanent], it is dead: published to the dead-letter topic with
// the reason, and kept in the table for [List], [Get] and [Replay].
//
//   - A handler that returns an error, panics, or exceeds Timeout and notices:
//     counted, tried again with a growing delay, dead in the end.
//   - [messaging.ErrUnavailable], and a database that undoes the transaction for
//     another's sake: tried again, not counted, dead after MaxAge.
//   - A database that is away, a subscriber that closes: the message is not
//     acknowledged, so that the broker delivers it again. Not counted.
//   - A handler that ignores the end of its context: nothing can end it. The
//     message stays unacknowledged, or parked and claimed, as long as it runs;
//     the metric tcckit.inbox.running.oldest.age shows it.
//   - A process that dies: what was not committed is delivered again by the
//     broker, or tried again by any process once its claim has run out. A try of a
//     parked message that ends so counts, so that one which kills its process
//     does not do so for ever. The first delivery has no row yet to count in,
//     and the handler of an ordered message is asked before its row is looked at:
//     those are bounded by a broker that counts deliveries, which package
//     rocketmq does not have it do.
//   - A dead-letter topic that is away: the message is dead and visible, and its
//     publication is tried again.
//
// Two runs of one message never both take effect, whoever makes them: the row is
// the first thing that a transaction writes, and the second one waits for it.
package inbox
