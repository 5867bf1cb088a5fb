package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/apache/rocketmq-client-go/v2"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

// Transactions sends messages whose fate a business transaction decides: a
// message becomes visible if, and only if, the transaction commits. It is safe
// for concurrent use.
//
// A half message is stored at the broker first, which no consumer sees; then
// the business runs, and writes its outcome into the table message_transaction
// with its last statement, in its own transaction; then the broker is told. If
// that gets lost, because the process died for instance, the broker asks (its
// check-back), and any instance of the group answers from the table. Where the
// table has nothing by the deadline, the answer is written there first, as rolled
// back, so that a business that was held up cannot commit any more.
//
// Against the outbox, a message costs no row with its payload and is on its way
// at the COMMIT, but the business needs the broker, which waits for an answer
// only so long: by default it asks for 7 minutes, whether somebody of the group
// is there to answer or not, and then drops the message. An outbox loses nothing
// then. docs/messaging.md compares them.
//
// Messages keep no order, also those with a key, and cannot be delayed. A
// consumer may see one twice: a broker that was told an outcome may ask all the
// same, and delivers again what it is told again.
type Transactions struct {
	cfg       TransactionsConfig
	bus       *Bus
	log       *transactionLog
	telemetry *transactionTelemetry
	producer  client.Producer // of half messages
	slots     chan struct{}   // one for each transaction that runs
	checking  chan struct{}   // one for each check-back that is looked into
	id        string          // of this member of the group
	away      atomic.Int64    // until when the database is not asked, in Unix ns

	mu     sync.Mutex
	closed bool
	links  map[string]*remoting.Conn // to brokers that can ask us, by their names
	busy   sync.WaitGroup            // transactions and check-backs

	stop     context.CancelFunc // ends the housekeeping and the links
	house    sync.WaitGroup
	shutdown sync.Once
}

// NewTransactions looks at the table message_transaction, and begins to answer
// the brokers' questions about half messages of the group, those of instances
// that are gone included. The bus closes it if the caller does not.
func NewTransactions(ctx context.Context, cfg TransactionsConfig) (*Transactions, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("rocketmq: transactions: %w", err)
	}
	t, err := newTransactions(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("rocketmq: transactions: %w", err)
	}
	return t, nil
}

func newTransactions(ctx context.Context, cfg TransactionsConfig) (*Transactions, error) {
	t := &Transactions{
		cfg: cfg, bus: cfg.Bus, id: instance("transactions"), links: map[string]*remoting.Conn{},
		slots: make(chan struct{}, cfg.Transactions), checking: make(chan struct{}, maxChecks),
	}
	var err error
	if t.log, err = openLog(ctx, cfg.DB, cfg.Dialect); err != nil {
		return nil, err
	}
	if t.telemetry, err = newTransactionTelemetry(t.bus.cfg.MeterProvider, cfg.Group); err != nil {
		return nil, err
	}
	// Not the client's producer of transactions: it is asked by brokers only once
	// it has sent something, dies of a panic, looks into one question at a time,
	// and neither it nor its answers can be told to end. So this one is not in the
	// group, which it would be asked for.
	if t.producer, err = client.NewProducer(t.bus.producerOptions(DefaultProducerGroup, newSelector())...); err != nil {
		return nil, messaging.Unavailable(err)
	}
	// From here on it must not be shut down unless it was started: see
	// Bus.Publisher.
	if err := t.producer.Start(); err != nil {
		return nil, err
	}
	house, stop := context.WithCancel(context.Background())
	t.stop = stop
	linked := make(chan struct{})
	t.house.Go(func() { t.keepLinks(house, linked) })
	t.house.Go(func() { t.keepHouse(house) })
	if err := t.bus.own(t); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	select {
	case <-linked:
		return t, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), t.Close())
	}
}

// enter claims a place for a transaction or a check-back; the caller calls the
// function that it returns once it has ended.
func (t *Transactions) enter() (leave func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	t.busy.Add(1)
	return t.busy.Done, nil
}

// Close begins nothing more, waits for the transactions that run, which their
// deadlines bound, and leaves the answering of the brokers' questions to other
// instances, or to later. It may be called more than once. The database must
// stay open until it has returned.
func (t *Transactions) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.bus.disown(t)
	var err error
	t.shutdown.Do(func() {
		t.busy.Wait()
		t.stop()
		err = t.producer.Shutdown()
		t.house.Wait()
	})
	return err
}

// every calls f now and then, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}
