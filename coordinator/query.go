package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// maxQueryLen bounds what is read of an answer: the payloads of MaxBranches
// branches in base64, twice each, fit.
const maxQueryLen = 128 << 20

// Query asks the coordinator what it knows of a transaction. Its error wraps
// [ErrNotFound] if that is nothing, and is an *[UnavailableError] if the
// coordinator gave no answer.
func (c *Client) Query(ctx context.Context, gid string) (*Info, error) {
	if err := validGID(gid); err != nil {
		return nil, err
	}
	u := c.queryURL
	u.RawQuery = url.Values{"gid": {gid}}.Encode()
	body, err := c.fetch(ctx, u)
	if err != nil {
		return nil, &UnavailableError{GID: gid, Err: err}
	}
	var answer dtmAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, &UnavailableError{GID: gid, Err: fmt.Errorf("what answers at %s is not DTM: %w", c.cfg.HTTPURL, err)}
	}
	var t *dtmTransaction
	if err := json.Unmarshal(answer.Transaction, &t); err != nil {
		return nil, &UnavailableError{GID: gid, Err: fmt.Errorf("what answers at %s is not DTM: %.200s", c.cfg.HTTPURL, body)}
	}
	if t == nil {
		return nil, fmt.Errorf("transaction %s: %w", gid, ErrNotFound)
	}
	return answer.info(t), nil
}

// fetch asks DTM's HTTP API.
func (c *Client) fetch(ctx context.Context, u url.URL) (_ []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxQueryLen))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.200s", u.Path, resp.Status, body)
	}
	return body, nil
}

// dtmAnswer is the part that we use of DTM's answer.
type dtmAnswer struct {
	// Transaction is null for one that DTM does not know, and not there if it
	// is not DTM that answers.
	Transaction json.RawMessage `json:"transaction"`
	Branches    []dtmBranch     `json:"branches"`
}

type dtmTransaction struct {
	GID              string     `json:"gid"`
	TransType        string     `json:"trans_type"`
	Status           Status     `json:"status"`
	RollbackReason   string     `json:"rollback_reason"`
	CreateTime       *time.Time `json:"create_time"`
	UpdateTime       *time.Time `json:"update_time"`
	FinishTime       *time.Time `json:"finish_time"`
	RollbackTime     *time.Time `json:"rollback_time"`
	NextCronInterval int64      `json:"next_cron_interval"`
	NextCronTime     *time.Time `json:"next_cron_time"`
}

type dtmBranch struct {
	BranchID   string     `json:"branch_id"`
	Op         string     `json:"op"`
	Status     Status     `json:"status"`
	URL        string     `json:"url"`
	BinData    []byte     `json:"bin_data"`
	FinishTime *time.Time `json:"finish_time"`
}

func (a *dtmAnswer) info(t *dtmTransaction) *Info {
	finished := timeOf(t.FinishTime)
	if t.Status == Failed {
		finished = timeOf(t.RollbackTime)
	}
	info := &Info{
		GID:           t.GID,
		Status:        t.Status,
		Type:          t.TransType,
		Reason:        t.RollbackReason,
		Created:       timeOf(t.CreateTime),
		Updated:       timeOf(t.UpdateTime),
		Finished:      finished,
		NextRetry:     timeOf(t.NextCronTime),
		RetryInterval: interval(t.NextCronInterval),
	}
	for _, b := range a.Branches {
		info.Calls = append(info.Calls, b.call())
	}
	return info
}

// interval reads DTM's seconds; what does not fit is a very long time.
func interval(seconds int64) time.Duration {
	if seconds > int64(math.MaxInt64/time.Second) {
		return math.MaxInt64
	}
	return time.Duration(seconds) * time.Second
}

// call leaves Phase zero for the operations of other transaction types.
func (b *dtmBranch) call() Call {
	phase, _ := tcc.ParsePhase(b.Op)
	target, method := b.URL, ""
	if i := strings.IndexByte(b.URL, '/'); i >= 0 {
		target, method = b.URL[:i], b.URL[i:]
	}
	return Call{
		BranchID: b.BranchID,
		Phase:    phase,
		Target:   target,
		Method:   method,
		Done:     b.Status == Succeeded,
		At:       timeOf(b.FinishTime),
		Payload:  b.BinData,
	}
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
