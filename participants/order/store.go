package order

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/tcc"
)

// store is the table order_request.
type store struct{ db *database.DB }

// find reads a request, false if it was never seen.
func (s *store) find(ctx context.Context, k key) (request, bool, error) {
	var (
		r       request
		outcome sql.NullString
		reason  []byte
		status  sql.NullInt32
	)
	err := s.db.SQL().QueryRowContext(ctx, "SELECT r.body_hash, r.gid, r.tried, r.lease_until > "+s.db.Dialect().Now()+", r.outcome, r.reason, o.status"+
		" FROM order_request r LEFT JOIN orders o ON o.gid = r.gid WHERE r.account_id = ? AND r.request_id = ?", k.account, k.request).
		Scan(&r.body, &r.gid, &r.tried, &r.leased, &outcome, &reason, &status)
	if errors.Is(err, sql.ErrNoRows) {
		return request{}, false, nil
	}
	if err != nil {
		return request{}, false, database.Transient(err)
	}
	r.order = pb.OrderStatus(status.Int32)
	if outcome.Valid {
		if r.outcome, err = parseReason(reason); err != nil {
			return request{}, false, fmt.Errorf("request %s of account %s: %w", k.request, k.account, err)
		}
	}
	return r, true, nil
}

// insert stores a request that was not seen before, with its first attempt. It
// reports false if it was seen meanwhile.
func (s *store) insert(ctx context.Context, k key, body []byte, gid string, lease time.Duration) (bool, error) {
	now := s.db.Dialect().Now()
	_, err := s.db.Exec(ctx, "INSERT INTO order_request (account_id, request_id, body_hash, gid, attempt, tried, lease_until, created_at)"+
		" VALUES (?, ?, UNHEX(?), ?, 1, 0, "+now+" + ?, "+now+")", k.account, k.request, hex.EncodeToString(body), gid, lease.Milliseconds())
	if database.IsDuplicate(err) {
		return false, nil
	}
	return err == nil, err
}

// takeOver replaces the attempt old by a new one. It reports false if that is
// not possible, or no more: old is not the current attempt, it is leased
// (unless the caller owns the lease), or its order exists and is not cancelled.
func (s *store) takeOver(ctx context.Context, k key, old, gid string, lease time.Duration, owner bool) (taken bool, err error) {
	d := s.db.Dialect()
	err = s.db.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		taken = false
		var (
			current       string
			tried, leased bool
			outcome       sql.NullString
		)
		err := tx.QueryRowContext(ctx, "SELECT gid, tried, lease_until > "+d.Now()+", outcome FROM order_request WHERE account_id = ? AND request_id = ?"+d.ForUpdate(), k.account, k.request).
			Scan(&current, &tried, &leased, &outcome)
		if err != nil {
			return err
		}
		if current != old || outcome.Valid || leased && !owner {
			return nil
		}
		if tried {
			// TryCreate set tried and inserted the order in one transaction.
			var status pb.OrderStatus
			if err := tx.QueryRowContext(ctx, "SELECT status FROM orders WHERE gid = ?", old).Scan(&status); err != nil {
				return fmt.Errorf("the order of the attempt %s: %w", old, err)
			}
			if status != pb.OrderStatus_ORDER_STATUS_CANCELLED {
				return nil
			}
		}
		taken = true
		_, err = tx.ExecContext(ctx, "UPDATE order_request SET gid = ?, attempt = attempt + 1, tried = 0, reason = NULL, lease_until = "+d.Now()+" + ? WHERE account_id = ? AND request_id = ?",
			gid, lease.Milliseconds(), k.account, k.request)
		return err
	})
	return taken && err == nil, err
}

// reject makes a rejection the request's outcome, for good. It reports false
// if gid is not the current attempt any more.
func (s *store) reject(ctx context.Context, k key, gid string, r *tcc.Rejection) (bool, error) {
	reason, err := formatReason(r)
	if err != nil {
		return false, err
	}
	rows, err := s.db.Exec(ctx, "UPDATE order_request SET outcome = 'REJECTED', reason = ? WHERE account_id = ? AND request_id = ? AND gid = ? AND outcome IS NULL",
		reason, k.account, k.request, gid)
	return rows == 1, err
}

// note remembers why the attempt gid came to nothing, for the order that will
// be cancelled.
func (s *store) note(ctx context.Context, k key, gid string, r *tcc.Rejection) error {
	reason, err := formatReason(r)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, "UPDATE order_request SET reason = ? WHERE account_id = ? AND request_id = ? AND gid = ? AND outcome IS NULL",
		reason, k.account, k.request, gid)
	return err
}

// release ends the lease of the attempt gid, so that the next call need not
// wait for it.
func (s *store) release(ctx context.Context, k key, gid string) error {
	_, err := s.db.Exec(ctx, "UPDATE order_request SET lease_until = 0 WHERE account_id = ? AND request_id = ? AND gid = ? AND outcome IS NULL", k.account, k.request, gid)
	return err
}

// formatReason returns a rejection as it is stored, in JSON. It is a string, for
// MySQL takes no binary one as JSON.
func formatReason(r *tcc.Rejection) (string, error) {
	b, err := json.Marshal(r.Fit())
	return string(b), err
}

func parseReason(b []byte) (*tcc.Rejection, error) {
	var r tcc.Rejection
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("the stored reason cannot be read: %w", err)
	}
	return &r, nil
}
