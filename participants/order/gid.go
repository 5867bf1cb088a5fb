package order

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// newGID returns the id of a new attempt, which is the id of its order. It is a
// UUID of version 7, so that ids are in the order of time.
func newGID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("order: gid: %w", err)
	}
	return id.String(), nil
}

// createTime is when an attempt began, which its gid tells to the millisecond:
// so the initiator knows it as well as the database. Of a gid that is none of
// ours it is the present.
func createTime(gid string) time.Time {
	id, err := uuid.Parse(gid)
	if err != nil || id.Version() != 7 {
		return time.Now().Truncate(time.Millisecond)
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms)
}
