package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
)

// Settle makes sure that a transaction is decided and returns its status: it
// asks, and if there is no decision yet it aborts, which keeps a Submit that is
// still on its way from taking effect, and asks again. It is for an initiator
// that stored the gid and then crashed, or got an *[UnknownError]; do not call
// it while another process may still be about to commit, unless that one is to
// lose. reason is stored with the transaction if it is aborted here.
//
// It gives up when ctx ends or the settle timeout has passed, with an
// *[UnknownError]. Its error wraps [ErrNotFound] if the coordinator knows no
// such transaction.
func (c *Client) Settle(ctx context.Context, gid, reason string) (Status, error) {
	if err := validGID(gid); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.SettleTimeout)
	defer cancel()
	info, err := c.settle(ctx, gid, reason)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = &UnknownError{GID: gid, Err: err}
	}
	return info.Status, err
}

// settle is Settle without the bound in time. Its error wraps [ErrNotFound] or
// is why the coordinator could not be asked.
func (c *Client) settle(ctx context.Context, gid, reason string) (Info, error) {
	var (
		p      pace
		fenced bool
		last   error
	)
	for {
		info, err := c.Query(ctx, gid)
		switch {
		case errors.Is(err, ErrNotFound):
			return Info{}, err
		case err != nil:
			last = err
		case info.Status.Committed() || info.Status.Aborted():
			return *info, nil
		default:
			if err := c.abortOnce(ctx, gid, reason); err != nil {
				last = err
				break
			}
			// Acknowledged, so it is decided even if nobody can be
			// asked any more.
			fenced = true
			last = fmt.Errorf("status is %q", info.Status)
			if ctx.Err() == nil {
				continue
			}
		}
		if !wait(ctx, p.next()) {
			if fenced {
				return Info{GID: gid, Status: Aborting, Reason: reason}, nil
			}
			return Info{}, withContext(ctx, last)
		}
	}
}

// abortOnce sends one Abort. It may be repeated. An error does not mean that it
// had no effect: DTM refuses an Abort of what is aborted, and on its SQL store
// fails to repeat one within a second.
func (c *Client) abortOnce(ctx context.Context, gid, reason string) error {
	_, err := c.dtm.Abort(ctx, &dtmgpb.DtmRequest{Gid: gid, TransType: transType, RollbackReason: fitReason(reason)})
	return err
}
