package barriertest

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func keys() []testCase {
	return []testCase{
		{name: "EveryByteCounts", forms: mainForms, run: everyByteCounts},
		{name: "AwkwardCharacters", forms: mainForms, run: awkwardCharacters},
		{name: "Longest", forms: mainForms, run: longest},
	}
}

// everyByteCounts: ids that a lenient collation, a trimmed column or a number
// would take for the same are different branches.
func everyByteCounts(w *world) {
	it := w.item(w.t, account, "a", 1000)
	ids := []string{"a", "A", "a.", "a..", "aa", "0", "00", "01", "1", "1.0", "1e0", "ss", "-", "_"}
	var all []*branch
	for i, id := range ids {
		for _, at := range []branchKey{{gid: "same", id: id}, {gid: id, id: "same"}} {
			b := w.debit(it, int64(i+1))
			b.gid, b.id = w.prefix+at.gid, at.id
			b.response = []byte(b.String())
			all = append(all, b)
		}
	}
	for _, b := range all {
		w.want(done, w.deliver(b, tcc.Try))
	}
	for i, b := range all {
		require.Equal(w.t, b.response, w.deliver(b, tcc.Try).res.Response)
		w.want(done, w.deliver(b, allPhases[1+i%2]))
	}
}

// awkwardCharacters: an id may hold every printable character, those included
// that mean something in SQL.
func awkwardCharacters(w *world) {
	it := w.item(w.t, account, "a", 1000)
	var printable strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		printable.WriteByte(c)
	}
	for i, id := range []string{"?", "??", "'", "''", `"`, "`", `\`, `\'`, `\\`, "%", "_", ";", "--", "/*", "#", "$1", ":a", "@a", "{}", "'--", `');COMMIT;--`, printable.String()} {
		b := w.debit(it, 1)
		b.gid, b.id = w.prefix+id, id
		require.NoError(w.t, b.identity(tcc.Try).Validate(), "the suite's own id")
		w.want(done, w.deliver(b, tcc.Try))
		w.want(duplicate, w.deliver(b, tcc.Try))
		end := allPhases[1+i%2]
		w.want(done, w.deliver(b, end))
		w.want(duplicate, w.deliver(b, end))
	}
}

func longest(w *world) {
	it := w.item(w.t, account, "a", 1000)
	for i := range 2 {
		gid := w.prefix + strings.Repeat("x", tcc.MaxGIDLen-len(w.prefix)-1) + fmt.Sprint(i)
		for j := range 2 {
			b := w.debit(it, 1)
			b.gid, b.id = gid, strings.Repeat("y", tcc.MaxBranchIDLen-1)+fmt.Sprint(j)
			w.want(done, w.deliver(b, tcc.Try))
			w.want(duplicate, w.deliver(b, tcc.Try))
			w.want(done, w.deliver(b, tcc.Cancel))
			w.want(lateTry, w.deliver(b, tcc.Try))
			w.wantState(barrier.Cancelled, b)
		}
	}
}
