package coordinator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrFinished is wrapped by [Client.Stop]'s error when the transaction has ended
// before.
var ErrFinished = errors.New("the transaction has ended already")

// MakeDue has the coordinator try a transaction again at its next look, whatever
// it waits for. cmd/dtm-server does so on all of its stores; stock DTM on MySQL
// alone: elsewhere it answers the same, and nothing changes but NextRetry, or not
// even that. So who relies on it asks what became of it, by [Client.Query]; see
// also [Client.RetryNow]. The error is an *[UnavailableError] if the coordinator
// gave no answer.
func (c *Client) MakeDue(ctx context.Context, gid string) error {
	return c.post(ctx, "../resetNextCronTime", gid)
}

// Stop has the coordinator give a transaction up: its status becomes [Failed],
// and nobody is called any more, neither to confirm nor to cancel. What its Trys
// hold is held until somebody else finishes them, and what was confirmed stays
// so: it is for a person to decide. The error wraps [ErrFinished] or, for a gid
// that it does not know, [ErrNotFound]; it is an *[UnavailableError] if the
// coordinator gave no answer, and may have stopped it nevertheless.
func (c *Client) Stop(ctx context.Context, gid string) error {
	info, err := c.Query(ctx, gid)
	if err != nil {
		return err
	}
	if !info.Status.Finished() {
		if err = c.post(ctx, "../forceStop", gid); err == nil {
			return nil
		}
		// DTM also fails because it has ended meanwhile. Failed may be what this Stop has made of it.
		if info, _ = c.Query(ctx, gid); info == nil || info.Status != Succeeded {
			return err
		}
	}
	return fmt.Errorf("transaction %s: %w: %s", gid, ErrFinished, info.Status)
}

// post sends a transaction's gid to DTM's HTTP API.
func (c *Client) post(ctx context.Context, path, gid string) (err error) {
	if err := validGID(gid); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"gid": gid})
	if err != nil {
		return err
	}
	u := *c.queryURL.JoinPath(path)
	answer, err := c.send(ctx, u, body)
	if err != nil {
		return &UnavailableError{GID: gid, Err: err}
	}
	var result struct {
		Result string `json:"dtm_result"`
	}
	switch err := json.Unmarshal(answer, &result); {
	case err != nil || result.Result == "":
		return &UnavailableError{GID: gid, Err: fmt.Errorf("what answers at %s is not DTM: %.200s", c.cfg.HTTPURL, answer)}
	case result.Result != "SUCCESS":
		return fmt.Errorf("transaction %s: the coordinator refuses: %.500s", gid, answer)
	}
	return nil
}

// send is a POST whose answer is DTM's, whatever its code.
func (c *Client) send(ctx context.Context, u url.URL, body []byte) (_ []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxQueryLen))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusConflict {
		return nil, fmt.Errorf("POST %s: %s: %.200s", u.Path, resp.Status, answer)
	}
	return answer, nil
}
