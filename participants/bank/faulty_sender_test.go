package bank_test

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/participants/bank"
)

// fault is what becomes of a call of Send.
type fault int32

const (
	// none: it is sent.
	none fault = iota
	// away: nothing is sent, and that is said.
	away
	// answerLost: it is sent, and an error is returned.
	answerLost
	// commitLost: everything is done but the commit, and nobody knows.
	commitLost
	// tooLarge: the broker will never take it.
	tooLarge
)

var errFault = errors.New("the connection broke")

// faultySender is a Sender whose broker or database can be away.
type faultySender struct {
	bank.Sender
	next  atomic.Int32 // the fault of the calls to come
	calls atomic.Int32
	// before, if it is set, happens between the look at the account and the
	// debit.
	before func()
}

func (s *faultySender) Send(ctx context.Context, topic string, msg *message.Message, work func(ctx context.Context, tx *sql.Tx) error) error {
	s.calls.Add(1)
	if s.before != nil {
		s.before()
	}
	switch fault(s.next.Load()) {
	case away:
		return messaging.Unavailable(errFault)
	case tooLarge:
		return messaging.Permanent(errFault)
	case answerLost:
		if err := s.Sender.Send(ctx, topic, msg, work); err != nil {
			return err
		}
		return errFault
	case commitLost:
		return s.Sender.Send(ctx, topic, msg, func(ctx context.Context, tx *sql.Tx) error {
			if err := work(ctx, tx); err != nil {
				return err
			}
			return errFault
		})
	default:
		return s.Sender.Send(ctx, topic, msg, work)
	}
}
