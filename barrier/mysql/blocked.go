package mysql

import (
	"fmt"
	"time"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// A batch that meets a locked row waits for it with all of its branches. Who
// has waited in vain is kept out of the batches until it gets through, or for
// blockedFor after its last attempt: a coordinator's next one mostly comes
// later than that, and finds the lock gone.
const (
	blockedFor  = 10 * time.Second
	blockedMost = 1024
)

// blocked are the branches, and the rows by their Stmt.Key or, without one, by
// the whole statement, that somebody else was found to hold. The group's mu
// guards it.
type blocked struct {
	until map[any]time.Time
}

// holds reports whether a share would wait for one of them.
func (b *blocked) holds(s sqlbranch.Share) bool {
	if len(b.until) == 0 {
		return false
	}
	now := time.Now()
	for _, k := range blockedKeys(s) {
		until, ok := b.until[k]
		if !ok {
			continue
		}
		if now.Before(until) {
			return true
		}
		delete(b.until, k)
	}
	return false
}

// add notes that a share waited in vain. Which of its rows it waited for, the
// server does not say.
func (b *blocked) add(s sqlbranch.Share) {
	if b.until == nil || len(b.until) >= blockedMost {
		b.until = make(map[any]time.Time)
	}
	until := time.Now().Add(blockedFor)
	for _, k := range blockedKeys(s) {
		b.until[k] = until
	}
}

// remove notes that a share got through.
func (b *blocked) remove(s sqlbranch.Share) {
	if len(b.until) == 0 {
		return
	}
	for _, k := range blockedKeys(s) {
		delete(b.until, k)
	}
}

func blockedKeys(s sqlbranch.Share) []any {
	keys := make([]any, 0, 1+len(s.Stmts))
	keys = append(keys, keyOf(s.Call.Branch))
	for i := range s.Stmts {
		k := s.Stmts[i].Key
		if k == "" {
			k = fmt.Sprint(s.Stmts[i].Query, s.Stmts[i].Args)
		}
		keys = append(keys, k)
	}
	return keys
}
