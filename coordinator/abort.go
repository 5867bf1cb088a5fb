package coordinator

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tcckit/tcckit/tcc"
)

// maxReasonLen limits what is stored as the reason of an abort, in bytes. DTM's
// SQL column is wider, but refuses the whole Abort for one byte too many.
const maxReasonLen = 512

// Abort ends the transaction: the coordinator calls the Cancel of every branch
// that was registered. It runs on a context of its own, with ctx's values and
// bounded by [Config.SettleTimeout], so that it works when ctx has ended.
// reason, for people, is stored with the transaction; it is cut to 512 bytes.
//
// An error means that the coordinator did not acknowledge it. The transaction
// will still not be committed: the coordinator aborts it by itself some time
// after the deadline that Begin was given.
func (tx *Transaction) Abort(ctx context.Context, reason string) error {
	failed, err := tx.end()
	if err != nil {
		return err
	}
	if failed == nil {
		failed = &AbortedError{GID: tx.gid, Err: fmt.Errorf("the initiator gave up: %s", fitReason(reason))}
	}
	return tx.abort(ctx, reason, failed)
}

// abort aborts after end; cause is why.
func (tx *Transaction) abort(ctx context.Context, reason string, cause error) error {
	ctx, cancel := tx.c.settling(ctx)
	defer cancel()
	defer func() { tx.record(ctx, cause) }()
	if err := tx.c.abortOnce(ctx, tx.gid, reason); err == nil {
		return nil
	}
	info, err := tx.c.settle(ctx, tx.gid, reason)
	switch {
	case err == nil && info.Status.Committed():
		err = fmt.Errorf("transaction %s has been committed by somebody else and cannot be aborted", tx.gid)
		cause = nil // it counts as what it is
	case err != nil:
		err = fmt.Errorf("transaction %s: the coordinator did not acknowledge the abort and will abort by itself when the transaction's time is over: %w", tx.gid, err)
	}
	if err != nil {
		tx.c.cfg.Logger.WarnContext(ctx, "abort not acknowledged", "gid", tx.gid, "reason", reason, "error", err)
	}
	return err
}

// fitReason makes text fit for DTM's column: valid UTF-8, on one line, not
// longer than maxReasonLen.
func fitReason(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError: // what is not UTF-8, too
			return '?'
		case r < ' ':
			return ' '
		}
		return r
	}, s)
	if len(s) > maxReasonLen {
		n := maxReasonLen
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return s
}

func validGID(gid string) error {
	if err := tcc.ValidateGID(gid); err != nil {
		return tcc.Invalidf("coordinator: %s", err)
	}
	return nil
}
