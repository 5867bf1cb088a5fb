package mysql

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

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
			value, same, err := ownOf(arg)
			if err != nil {
				return nil, false
			}
			if !same {
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
func (sh *share) replace(stmt, arg int, value any) {
	if !sh.copied {
		sh.Stmts = slices.Clone(sh.Stmts)
		for i := range sh.Stmts {
			sh.Stmts[i].Args = slices.Clone(sh.Stmts[i].Args)
		}
		sh.copied = true
	}
	sh.Stmts[stmt].Args[arg] = value
}

// ownOf returns what an argument is now, if that is not the argument itself: a
// caller who leaves may use its buffers and variables again while the batch goes
// on, and may have to send them once more.
func ownOf(arg any) (value any, same bool, err error) {
	switch a := arg.(type) {
	case nil, string, bool, int, int64, time.Time:
		return nil, true, nil
	case driver.Valuer:
		v, err := valueOf(a)
		if b, ok := v.([]byte); ok {
			v = bytes.Clone(b)
		}
		return v, false, err
	case []byte:
		return bytes.Clone(a), false, nil
	case json.RawMessage:
		return json.RawMessage(bytes.Clone(a)), false, nil // the driver sends it as text
	}
	switch rv := reflect.ValueOf(arg); {
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		return bytes.Clone(rv.Bytes()), false, nil
	case rv.Kind() != reflect.Pointer:
		return nil, true, nil
	case rv.IsNil():
		return nil, false, nil
	default:
		to := rv.Elem().Interface()
		if value, same, err = ownOf(to); same {
			value = to
		}
		return value, false, err
	}
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
