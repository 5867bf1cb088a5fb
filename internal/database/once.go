package database

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// ErrReused says that a request id was used before with another body.
var ErrReused = errors.New("the request id was used before with another body")

// Fingerprint is a SHA-256 of a request's body, given as its fields in a fixed
// order. The encoding of protobuf itself is not promised to stay the same from
// release to release.
func Fingerprint(fields ...string) []byte {
	h := sha256.New()
	var n [8]byte
	for _, f := range fields {
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return h.Sum(nil)
}

// Once runs work in a transaction the first time that it is called with a
// request id, and gives later calls the same response without running it. The
// table handled_request remembers them:
//
//	request_id (primary key), body_hash, response, created_at (Unix milliseconds)
//
// Another body under the id is [ErrReused]. If work fails, nothing is
// remembered and nothing written; where it failed by a duplicate key, it is run
// again, a few times. Errors are otherwise those of [DB.Transact].
func Once[Resp proto.Message](ctx context.Context, d *DB, requestID string, body []byte, work func(ctx context.Context, tx *sql.Tx) (Resp, error)) (Resp, error) {
	for attempt := 1; ; attempt++ {
		resp, err := once(ctx, d, requestID, body, work)
		// Another call inserted a row between our look and our insert: of the
		// request itself, or of what work looked for. The next look sees it.
		if IsDuplicate(err) && attempt < attempts {
			continue
		}
		if err != nil {
			// What work has met may be what another call of this very request
			// did after our look.
			if found, lookErr := look(ctx, d.sql, requestID, body, &resp); found {
				err = lookErr
			}
		}
		return resp, err
	}
}

func once[Resp proto.Message](ctx context.Context, d *DB, requestID string, body []byte, work func(ctx context.Context, tx *sql.Tx) (Resp, error)) (resp Resp, err error) {
	err = d.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if found, err := look(ctx, tx, requestID, body, &resp); found || err != nil {
			return err
		}
		if resp, err = work(ctx, tx); err != nil {
			return err
		}
		out, err := proto.Marshal(resp)
		if err != nil {
			return err
		}
		// In digits: see barrier/mysql on statements that are no text.
		_, err = tx.ExecContext(ctx, "INSERT INTO handled_request (request_id, body_hash, response, created_at) VALUES (?, UNHEX(?), UNHEX(?), "+d.dialect.Now()+")",
			requestID, hex.EncodeToString(body), hex.EncodeToString(out))
		return err
	})
	return resp, err
}

// look answers from the table, if the request is in it.
func look[Resp proto.Message](ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, requestID string, body []byte, resp *Resp,
) (found bool, err error) {
	var hash, stored []byte
	err = q.QueryRowContext(ctx, "SELECT body_hash, response FROM handled_request WHERE request_id = ?", requestID).Scan(&hash, &stored)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, recall(resp, body, hash, stored)
}

// recall answers from what is stored.
func recall[Resp proto.Message](resp *Resp, body, hash, stored []byte) error {
	if !bytes.Equal(body, hash) {
		return ErrReused
	}
	msg, ok := (*resp).ProtoReflect().Type().New().Interface().(Resp)
	if !ok {
		return fmt.Errorf("%T does not make messages of its own type", *resp)
	}
	*resp = msg
	return proto.Unmarshal(stored, msg)
}
