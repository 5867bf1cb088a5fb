package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/tcckit/tcckit/tcc"
)

// MaxList is the most transactions that one [Client.List] returns.
const MaxList = 1000

// ListOptions says which transactions to list.
type ListOptions struct {
	// Status, if it is not empty, is theirs.
	Status Status
	// Limit is the most to return, 1 to MaxList; 0 means 100.
	Limit int
	// After is the Next of the page before, empty to begin.
	After string
}

// Page is a part of a list. Next is where the following one begins, empty if
// there is none.
type Page struct {
	Transactions []*Info
	Next         string
}

// List returns transactions that the coordinator knows, of all types and without
// their calls. The order is that of DTM's store: of MySQL the newest first, of
// boltdb that of the gid, of Redis none, where moreover a page may be short, a
// transaction may come twice, and DTM may leave some out unless Limit is
// MaxList. The error is an *[UnavailableError] if the coordinator gave no answer.
func (c *Client) List(ctx context.Context, opts ListOptions) (*Page, error) {
	if opts.Limit == 0 {
		opts.Limit = 100
	}
	if opts.Limit < 1 || opts.Limit > MaxList {
		return nil, tcc.Invalidf("coordinator: list %d transactions: want 1 to %d", opts.Limit, MaxList)
	}
	u := *c.queryURL.JoinPath("../all")
	u.RawQuery = url.Values{"status": {string(opts.Status)}, "limit": {strconv.Itoa(opts.Limit)}, "position": {opts.After}}.Encode()
	body, err := c.fetch(ctx, u)
	if err != nil {
		return nil, &UnavailableError{Err: err}
	}
	var answer struct {
		Transactions []dtmTransaction `json:"transactions"`
		Next         *string          `json:"next_position"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Next == nil {
		return nil, &UnavailableError{Err: fmt.Errorf("what answers at %s is not DTM: %.200s", c.cfg.HTTPURL, body)}
	}
	page := &Page{Next: *answer.Next}
	for i := range answer.Transactions {
		page.Transactions = append(page.Transactions, (&dtmAnswer{}).info(&answer.Transactions[i]))
	}
	return page, nil
}
