package barriertest

import (
	"context"
	"sync/atomic"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// kind is a business table in which quantities go from available to held to
// gone.
type kind struct{ table, held, gone string }

var (
	account = kind{"account", "frozen", "spent"}
	stock   = kind{"stock", "reserved", "sold"}
)

// item is one row of a business table.
type item struct {
	kind kind
	id   string
}

func (it item) String() string { return it.kind.table + " " + it.id }

// line is how much of an item a branch takes.
type line struct {
	item item
	qty  int64
}

// form is how a work function does its work.
type form string

const (
	// queued: everything by Tx.Queue.
	queued form = "queued"
	// alone: the lines by Tx.Queue and nothing else; with one line its guard
	// is the branch's only statement.
	alone form = "alone"
	// direct: everything by ExecContext and QueryContext.
	direct form = "direct"
	// mixed: queued statements before and after direct ones.
	mixed form = "mixed"
)

// The forms, for cases that run in each.
var (
	allForms  = []form{queued, alone, direct, mixed}
	mainForms = []form{queued, direct, mixed}
	// openForms hold a transaction while the work function runs.
	openForms = []form{direct, mixed}
)

// branch is one branch as the test knows it.
type branch struct {
	books    *books
	gid, id  string
	form     form
	lines    []line
	request  []byte
	response []byte
	runs     [tcc.Cancel + 1]atomic.Int64
	// swept is the state that the row had when it was deleted on purpose.
	swept barrier.State
}

func (b *branch) String() string { return b.gid + "/" + b.id }

// ran is how often the work function of a phase was called.
func (b *branch) ran(p tcc.Phase) int { return int(b.runs[p].Load()) }

// identity is the branch as a delivery in phase p names it.
func (b *branch) identity(p tcc.Phase) tcc.Branch {
	return tcc.Branch{GID: b.gid, ID: b.id, Phase: p, Method: method(p)}
}

func method(p tcc.Phase) string {
	return map[tcc.Phase]string{
		tcc.Try: "/tcckit.test.Account/TryDebit", tcc.Confirm: "/tcckit.test.Account/ConfirmDebit", tcc.Cancel: "/tcckit.test.Account/CancelDebit",
	}[p]
}

// deliver sends one phase with the branch's usual work.
func (b *branch) deliver(ctx context.Context, s barrier.Store, p tcc.Phase) answer {
	return b.deliverWork(ctx, s, p, b.work(p))
}

// deliverWork sends one phase with a work function of the case's.
func (b *branch) deliverWork(ctx context.Context, s barrier.Store, p tcc.Phase, work barrier.Work) answer {
	ctx, cancel := context.WithTimeout(ctx, deliveryBound)
	defer cancel()
	c := barrier.Call{Branch: b.identity(p)}
	if p == tcc.Try {
		c.Request = b.request
	}
	res, err := s.Do(ctx, c, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		b.runs[p].Add(1)
		return work(ctx, tx)
	})
	return answer{res, err}
}

// answerTo is what the work function of a phase returns when it succeeds.
func (b *branch) answerTo(p tcc.Phase) []byte {
	if p == tcc.Try {
		return b.response
	}
	return nil
}

// after returns the branch's usual work, followed by then.
func (b *branch) after(p tcc.Phase, then func(ctx context.Context, tx barrier.Tx) error) barrier.Work {
	usual := b.work(p)
	return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		resp, err := usual(ctx, tx)
		if err != nil {
			return nil, err
		}
		if err := then(ctx, tx); err != nil {
			return nil, err
		}
		return resp, nil
	}
}

// before returns first, followed by the branch's usual work.
func (b *branch) before(p tcc.Phase, first func(ctx context.Context, tx barrier.Tx) error) barrier.Work {
	usual := b.work(p)
	return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		if err := first(ctx, tx); err != nil {
			return nil, err
		}
		return usual(ctx, tx)
	}
}

// newBranch makes a branch of a new global transaction.
func newBranch(bk *books, f form, lines ...line) *branch {
	gid := bk.prefix + "-" + bk.newID()
	return &branch{books: bk, gid: gid, id: "01", form: f, lines: lines, request: []byte("request of " + gid), response: []byte("response to " + gid)}
}
