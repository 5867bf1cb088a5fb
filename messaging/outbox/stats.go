package outbox

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"
)

// queue is what is claimed together: messages of a topic that are New, or Sent
// and their result is overdue.
type queue struct {
	topic string
	state State
}

// due is a queue, and how long until something in it is due.
type due struct {
	queue
	in time.Duration
}

// queues finds out where something is due and when, in no order, so that workers
// do not go after each other. The databases find the topics by jumping from one
// to the next in the index.
func (o *Outbox) queues(ctx context.Context) ([]due, error) {
	rows, err := o.cfg.DB.QueryContext(ctx, "SELECT state, topic, MIN(due_at) - "+o.sql.Now()+" FROM outbox"+o.sql.by("outbox_due")+
		" WHERE state IN ('NEW', 'SENT') AND due_at > 0 GROUP BY state, topic")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var queues []due
	for rows.Next() {
		var q due
		var ms int64
		if err := rows.Scan(&q.state, &q.topic, &ms); err != nil {
			return nil, err
		}
		q.in = time.Duration(ms) * time.Millisecond
		queues = append(queues, q)
	}
	rand.Shuffle(len(queues), func(i, j int) { queues[i], queues[j] = queues[j], queues[i] })
	return queues, rows.Err()
}

// Stats is how much is in an outbox.
type Stats struct {
	// New, Awaiting and Failed count messages: not published yet, sent and the
	// result did not come yet, given up or refused by the receiver.
	New, Awaiting, Failed int64
	// Age is that of the oldest New message, 0 if there is none.
	Age time.Duration
}

// Stats counts. It reads an entry of an index for each message that it counts,
// and nothing of those that are done.
func (o *Outbox) Stats(ctx context.Context) (Stats, error) {
	s, err := o.stats(ctx)
	return s, wrap("count messages", err)
}

func (o *Outbox) stats(ctx context.Context) (Stats, error) {
	var s Stats
	var oldest, age sql.NullInt64
	err := o.cfg.DB.QueryRowContext(ctx, "SELECT COUNT(*), MIN(seq) FROM outbox WHERE state = 'NEW'").Scan(&s.New, &oldest)
	if err != nil {
		return s, err
	}
	// The MAX makes a row of none: that one may be gone meanwhile.
	err = o.cfg.DB.QueryRowContext(ctx, "SELECT MAX("+o.sql.Now()+" - created_at) FROM outbox WHERE seq = ?", oldest.Int64).Scan(&age)
	if err != nil {
		return s, err
	}
	s.Age = max(0, time.Duration(age.Int64)*time.Millisecond)
	if err := o.cfg.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM outbox WHERE state = 'FAILED'").Scan(&s.Failed); err != nil {
		return s, err
	}
	queues, err := o.queues(ctx)
	for _, q := range queues {
		if q.state != StateSent || err != nil {
			continue
		}
		var n int64
		err = o.cfg.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM outbox WHERE state = 'SENT' AND topic = ? AND due_at > 0", q.topic).Scan(&n)
		s.Awaiting += n
	}
	return s, err
}
