package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// MaxRetryNow is the most transactions that one [Client.RetryNow] takes.
const MaxRetryNow = 1000

// RetryNow has the coordinator try now what it would try again only after a wait
// of at least later: transactions whose Confirms or Cancels it could not finish,
// and which wait twice as long after each failure. At most limit of them are
// tried, on boltdb and Redis those with the shortest wait; it returns how many
// those are. If that is limit, there may be more.
//
// What fails again waits twice as long as it would have: this is for when
// whatever was in the way has been repaired, not for asking every minute. (A
// transaction that has failed 25 to 30 times has an interval that no longer fits
// DTM's arithmetic. On MySQL it is then tried every 10 s, on boltdb after some
// 25 more times with every look that DTM takes.)
//
// later is at least a second and is rounded up to whole seconds; limit is 1 to
// [MaxRetryNow], 0 meaning the latter. It may be repeated. The error is an
// *[UnavailableError] if the coordinator gave no answer; it may have done so
// nevertheless.
func (c *Client) RetryNow(ctx context.Context, later time.Duration, limit int) (int, error) {
	if limit == 0 {
		limit = MaxRetryNow
	}
	if later < time.Second || limit < 1 || limit > MaxRetryNow {
		return 0, tcc.Invalidf("coordinator: retry at most %d transactions that would wait for %s: want 1 to %d, and at least 1s", limit, later, MaxRetryNow)
	}
	seconds := int64(math.Ceil(later.Seconds()))
	u := *c.queryURL.JoinPath("../resetCronTime")
	u.RawQuery = url.Values{"timeout": {strconv.FormatInt(seconds, 10)}, "limit": {strconv.Itoa(limit)}}.Encode()
	body, err := c.fetch(ctx, u)
	if err != nil {
		return 0, &UnavailableError{Err: err}
	}
	var answer struct {
		Count *int `json:"succeed_count"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Count == nil {
		return 0, &UnavailableError{Err: fmt.Errorf("what answers at %s is not DTM: %.200s", c.cfg.HTTPURL, body)}
	}
	return *answer.Count, nil
}
