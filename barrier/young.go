package barrier

import (
	"encoding/binary"
	"encoding/hex"
	"time"
)

// maxClockLead is how far the clock of an initiator may be ahead for Beyond to
// pass over the gids that it makes now.
const maxClockLead = 24 * time.Hour

// Beyond returns where a sweep that has come to p goes on, at the time now. Our
// gids are UUIDv7, whose first 48 bits are the time, so that the primary key is
// in the order of time: once p lies within the retention everything up to the
// gids of now is too young to be deleted, and a sweep need not read it. A gid
// of another kind that sorts among those is not lost: the retention moves on,
// and a later sweep reads it. Stores call it at the end of a chunk.
func (o SweepOptions) Beyond(p Position, now time.Time) Position {
	from, to := uuidPrefix(now.Add(-o.Retention)), uuidPrefix(now.Add(maxClockLead))
	if from <= p.GID && p.GID < to {
		return Position{GID: to}
	}
	return p
}

// uuidPrefix returns the beginning of the UUIDv7 of a time: the digits of its
// milliseconds and its version, as in "018f3c5e-7a10-7".
func uuidPrefix(at time.Time) string {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(at.UnixMilli(), 0)))
	digits := hex.EncodeToString(ms[2:])
	return digits[:8] + "-" + digits[8:] + "-7"
}
