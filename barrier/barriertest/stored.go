package barriertest

import (
	"bytes"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func stored() []testCase {
	return []testCase{
		{name: "Responses", forms: allForms, run: responses},
		{name: "ResponseTooLong", forms: allForms, run: responseTooLong},
		{name: "RequestUntilTheEnd", forms: mainForms, run: requestUntilTheEnd},
		{name: "NothingMoreThanNeeded", forms: mainForms, run: nothingMoreThanNeeded},
	}
}

// everyByte returns n bytes that take every value.
func everyByte(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i)
	}
	return out
}

// responses: a duplicate gets the first answer byte for byte, also after the
// branch was confirmed.
func responses(w *world) {
	it := w.item(w.t, account, "a", 1000)
	other := w.replica()
	for _, response := range [][]byte{nil, {}, {0}, []byte("'"), []byte(`\`), []byte("?"), {0xff, 0xfe}, everyByte(257), everyByte(barrier.MaxResponseLen)} {
		b := w.debit(it, 1)
		b.response = response
		same := func(v verdict, a answer) {
			w.t.Helper()
			w.want(v, a)
			require.True(w.t, bytes.Equal(response, a.res.Response), "a response of %d bytes came back as %d others: %q", len(response), len(a.res.Response), a.res.Response)
		}
		same(done, w.deliver(b, tcc.Try))
		b.response = []byte("what a second run would answer")
		same(duplicate, w.deliver(b, tcc.Try))
		same(duplicate, b.deliver(w.ctx, other.Store, tcc.Try))
		w.want(done, w.deliver(b, tcc.Confirm))
		same(duplicate, w.deliver(b, tcc.Try))
	}
}

func responseTooLong(w *world) {
	b := w.debit(w.item(w.t, account, "a", 10), 1)
	for _, n := range []int{barrier.MaxResponseLen + 1, 1 << 20} {
		b.response = everyByte(n)
		w.want(internal, w.deliver(b, tcc.Try))
		w.wantState(barrier.None, b)
	}
	b.response = []byte("shorter")
	w.want(done, w.deliver(b, tcc.Try))
}

// requestUntilTheEnd: what is needed to repair a branch without its
// coordinator is there as long as it may be needed.
func requestUntilTheEnd(w *world) {
	it := w.item(w.t, account, "a", 10)
	for _, end := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
		for _, request := range [][]byte{nil, {0}, everyByte(barrier.MaxRequestLen)} {
			b := w.debit(it, 1)
			b.request = request
			w.want(done, w.deliver(b, tcc.Try))
			w.age(b, hour*2)
			list, err := w.Store.Stuck(w.ctx, barrier.StuckOptions{OlderThan: hour})
			require.NoError(w.t, err)
			require.Len(w.t, list, 1)
			require.Equal(w.t, b.gid, list[0].GID)
			require.Equal(w.t, b.id, list[0].BranchID)
			require.Equal(w.t, method(tcc.Try), list[0].Method)
			require.True(w.t, bytes.Equal(request, list[0].Request), "a request of %d bytes came back as %d others", len(request), len(list[0].Request))

			w.want(done, w.deliver(b, end))
			list, err = w.Store.Stuck(w.ctx, barrier.StuckOptions{OlderThan: hour})
			require.NoError(w.t, err)
			require.Empty(w.t, list)
		}
	}
}

// nothingMoreThanNeeded: a terminal row is small. It keeps a Try's response
// while a duplicate may ask for it, and a rejection; the rest is NULL.
func nothingMoreThanNeeded(w *world) {
	keeps := map[barrier.State]string{barrier.Confirmed: "response", barrier.Rejected: "reason"}
	for _, s := range allStates {
		if !s.Terminal() {
			continue
		}
		b := w.reach(s)
		rows, err := w.db.QueryContext(w.ctx, "SELECT * FROM sub_transaction_barrier WHERE gid = ? AND branch_id = ?", b.gid, b.id)
		require.NoError(w.t, err)
		columns, err := rows.Columns()
		require.NoError(w.t, err)
		values := make([]any, len(columns))
		pointers := make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		require.True(w.t, rows.Next())
		require.NoError(w.t, rows.Scan(pointers...))
		require.NoError(w.t, rows.Close())
		for i, c := range columns {
			switch c = strings.ToLower(c); c {
			case "gid", "branch_id", "state", "updated_at", keeps[s]:
				require.NotNil(w.t, values[i], "%s of a row that is %s", c, s)
			default:
				require.Nil(w.t, values[i], "%s of a row that is %s", c, s)
			}
		}
	}
}
