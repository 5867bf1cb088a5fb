package mysql

import (
	"cmp"
	"context"
	"database/sql/driver"
	"reflect"
	"slices"
	"strings"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// share is a sqlbranch.Share on its way through the group.
type share struct {
	sqlbranch.Share
	ctx context.Context
	// done is given the verdict, once.
	done chan ending
	// abandoned, under the group's mu, says that nobody waits for done.
	abandoned bool
	// ordered says that the statements must run in their order.
	ordered bool
	// copied says that Stmts are the share's own.
	copied bool
	// bytes is about how many the share adds to a batch's first statement.
	bytes int
	// ended, under the group's mu, says that there is a verdict.
	ended bool
}

// newShare does on the caller's goroutine what may call the caller's code. It
// reports false for a share whose arguments fail: alone, it fails alone.
func newShare(ctx context.Context, s sqlbranch.Share) (_ *share, ok bool) {
	sh := &share{Share: s, ctx: ctx, done: make(chan ending, 1), bytes: 2 * (len(s.Call.Request) + len(s.Response))}
	for i := range s.Stmts {
		st := &s.Stmts[i]
		sh.ordered = sh.ordered || st.Key == ""
		sh.bytes += len(st.Query)
		for j, arg := range st.Args {
			if v, ok := arg.(driver.Valuer); ok {
				value, err := valueOf(v)
				if err != nil {
					return nil, false
				}
				sh.replace(i, j, value)
				arg = value
			}
			sh.bytes += sizeOf(arg)
		}
	}
	return sh, true
}

// compare orders shares by their rows' keys.
func (sh *share) compare(other *share) int {
	a, b := sh.Call.Branch, other.Call.Branch
	return cmp.Or(strings.Compare(a.GID, b.GID), strings.Compare(a.ID, b.ID))
}

// replace changes an argument, but not of the delivery's own statement.
func (sh *share) replace(stmt, arg int, value driver.Value) {
	if !sh.copied {
		sh.Stmts = slices.Clone(sh.Stmts)
		for i := range sh.Stmts {
			sh.Stmts[i].Args = slices.Clone(sh.Stmts[i].Args)
		}
		sh.copied = true
	}
	sh.Stmts[stmt].Args[arg] = value
}

// valueOf calls a Valuer as database/sql does: a nil pointer to a type that has
// the method by value is NULL.
func valueOf(v driver.Valuer) (driver.Value, error) {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() && rv.Type().Elem().Implements(reflect.TypeFor[driver.Valuer]()) {
		return nil, nil
	}
	return v.Value()
}

func sizeOf(arg any) int {
	switch a := arg.(type) {
	case string:
		return len(a)
	case []byte:
		return len(a)
	default:
		return 8
	}
}
