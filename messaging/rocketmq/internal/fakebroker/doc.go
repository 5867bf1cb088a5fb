// Package fakebroker is a RocketMQ for tests that need a broken one: a name
// server and a broker in one, with topics, queues and half messages in memory.
//
// It does what a well-behaved server does until a test says otherwise:
//
//	s := fakebroker.Start(t, "orders")
//	s.On(fakebroker.SendBack, fakebroker.Refuse(fakebroker.SystemError, "no"))
//
// It holds nothing back until a restart, retries nothing and asks about half
// messages only when a test calls [Server.Check].
package fakebroker
