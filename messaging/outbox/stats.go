package outbox

import (
	"context"
	"database/sql"
	"time"
)

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
