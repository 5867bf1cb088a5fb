package outbox

import (
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

//go:embed schema_mysql.sql
var schemaMySQL string

//go:embed schema_sqlite.sql
var schemaSQLite string

// Schema returns what creates the table outbox if it does not exist. It
// belongs into the migrations of each database in which messages are written.
func Schema(d messaging.Dialect) string {
	if d == messaging.SQLite {
		return schemaSQLite
	}
	return schemaMySQL
}

// columns are all of the table, to see at start that it is there.
const columns = "seq, id, topic, message_key, ordered, expects_result, size, created_at, state, tries, due_at, claimed_by, claimed_until, lane, sent_at, settled_at, last_error, metadata, payload"

// State is what has become of a message.
type State string

// The states.
const (
	// StateNew is a message that is not published yet, or not known to be.
	StateNew State = "NEW"
	// StateSent is one that the broker has taken.
	StateSent State = "SENT"
	// StateConfirmed is one whose receiver has reported success.
	StateConfirmed State = "CONFIRMED"
	// StateFailed is one that could not be published, whose receiver has reported
	// failure, or of which no result came.
	StateFailed State = "FAILED"
)

// dialect is what statements need to know about the database. They hold numbers
// and names of this package only, as text: a statement without arguments is one
// round trip whatever the connection's settings are.
type dialect struct{ messaging.Dialect }

// in is the moment d from now, in Unix milliseconds.
func (s dialect) in(d time.Duration) string {
	if d == 0 {
		return s.Now()
	}
	return fmt.Sprintf("(%s + %d)", s.Now(), d.Milliseconds())
}

// by names the index to use. A small table the optimizer of MySQL would rather
// scan, and wait for rows that are none of the statement's.
func (s dialect) by(index string) string {
	switch {
	case s.Dialect == messaging.MySQL:
		return " FORCE INDEX (" + index + ")"
	case index == "PRIMARY":
		return ""
	}
	return " INDEXED BY " + index
}

// bytes is a place for bytes. MySQL gets them in hexadecimal digits: while a
// statement with bytes that are no UTF-8 runs, its
// information_schema.processlist fails for everybody.
func (s dialect) bytes() string {
	if s.Dialect == messaging.MySQL {
		return "UNHEX(?)"
	}
	return "?"
}

// list writes numbers for IN.
func list(seqs []int64) string {
	b := make([]byte, 0, 8*len(seqs)+2)
	b = append(b, '(')
	for i, n := range seqs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, ')'))
}
