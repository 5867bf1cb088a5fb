package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tcckit/tcckit/messaging"
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

// selectsPerStatement bounds a statement; SQLite joins at most 500 selects.
const selectsPerStatement = 256

// queues finds out where something is due and when, in no order, so that workers
// do not go after each other. It looks up the first due message of each topic: a
// GROUP BY would jump from topic to topic on MySQL, but on MariaDB read every
// message of the state, those that are done included.
func (o *Outbox) queues(ctx context.Context) ([]due, error) {
	topics, err := o.topics.all(ctx, o)
	if err != nil {
		return nil, err
	}
	var selects []string
	var args []any
	for _, state := range []State{StateNew, StateSent} {
		for _, topic := range topics {
			selects = append(selects, fmt.Sprintf("SELECT * FROM (SELECT state, topic, due_at - %s FROM outbox%s WHERE state = '%s' AND topic = ? AND due_at > 0 ORDER BY due_at LIMIT 1) AS q",
				o.sql.Now(), o.sql.by("outbox_due"), state))
			args = append(args, topic)
		}
	}
	var queues []due
	for len(selects) > 0 {
		n := min(len(selects), selectsPerStatement)
		rows, err := o.cfg.DB.QueryContext(ctx, strings.Join(selects[:n], " UNION ALL "), args[:n]...)
		if err != nil {
			return nil, err
		}
		if queues, err = scanQueues(rows, queues); err != nil {
			return nil, err
		}
		selects, args = selects[n:], args[n:]
	}
	rand.Shuffle(len(queues), func(i, j int) { queues[i], queues[j] = queues[j], queues[i] })
	return queues, nil
}

func scanQueues(rows *sql.Rows, queues []due) ([]due, error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var q due
		var ms int64
		if err := rows.Scan(&q.state, &q.topic, &ms); err != nil {
			return nil, err
		}
		q.in = time.Duration(ms) * time.Millisecond
		queues = append(queues, q)
	}
	return queues, rows.Err()
}

const (
	// topicsFor is how long it takes at most until a topic is noticed that
	// another process has begun to write to.
	topicsFor = time.Second
	// writtenFor is how long a topic counts that this process has written to,
	// found or not: longer than a transaction takes to commit.
	writtenFor = time.Minute
)

// topics are those that an outbox has messages of which may be due.
type topics struct {
	// looking is held while the table is asked, and so while a connection is
	// waited for. Who writes may have the last one: he must not wait for it.
	looking sync.Mutex
	found   map[string]struct{} // in the table
	looked  time.Time           // when

	mu      sync.Mutex
	written map[string]time.Time
}

// wrote says that this process has written to a topic, so that who is woken at
// the commit knows it.
func (t *topics) wrote(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.written == nil {
		t.written = make(map[string]time.Time)
	}
	t.written[name] = time.Now()
}

// all returns the topics. It looks for them in the table now and then.
func (t *topics) all(ctx context.Context, o *Outbox) ([]string, error) {
	t.looking.Lock()
	defer t.looking.Unlock()
	if time.Since(t.looked) > topicsFor {
		found, err := o.findTopics(ctx)
		if err != nil {
			return nil, err
		}
		t.found, t.looked = found, time.Now()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.written, func(_ string, at time.Time) bool { return time.Since(at) > writtenFor })
	names := slices.AppendSeq(slices.Collect(maps.Keys(t.found)), maps.Keys(t.written))
	slices.Sort(names)
	return slices.Compact(names), nil
}

// findTopics jumps from each topic to the next one in the index. On SQLite that
// has nothing but what is due at all, and is used only where a statement says so;
// on MySQL to say so would be to read all the rest.
func (o *Outbox) findTopics(ctx context.Context) (map[string]struct{}, error) {
	found := make(map[string]struct{})
	only := ""
	if o.cfg.Dialect == messaging.SQLite {
		only = " AND due_at > 0"
	}
	for _, state := range []State{StateNew, StateSent} {
		for topic := ""; ; {
			err := o.cfg.DB.QueryRowContext(ctx, fmt.Sprintf("SELECT topic FROM outbox%s WHERE state = '%s' AND topic > ?%s ORDER BY topic LIMIT 1", o.sql.by("outbox_due"), state, only), topic).Scan(&topic)
			if errors.Is(err, sql.ErrNoRows) {
				break
			}
			if err != nil {
				return nil, err
			}
			found[topic] = struct{}{}
		}
	}
	return found, nil
}
