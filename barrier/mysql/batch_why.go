package mysql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// askWhy has each failed guard's Otherwise say why, on the batch's own
// connection: it sees what the others have done, as if it came right after.
// It returns the shares whose Otherwise gave no rejection, or was not asked
// before ctx ended: all others wait meanwhile.
func (r *round) askWhy(ctx context.Context, p *plan) (special []*share) {
	for _, f := range p.rejected {
		if ctx.Err() != nil || !errors.As(r.why(ctx, p, f), &f.rejection) {
			special = append(special, f.share)
			continue
		}
		f.rejection = f.rejection.Fit()
	}
	return special
}

// why asks one share, for no longer than whyBound, and not after the batch's
// end.
func (r *round) why(batch context.Context, p *plan, f *refusal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.share.ctx), whyBound)
	defer cancel()
	defer context.AfterFunc(batch, cancel)()
	return sqlbranch.WhyWithin(ctx, sqlbranch.MySQL, f.stmt, func(ctx context.Context) (driver.Conn, error) {
		return r.lease.Conn, p.readOnly(ctx, r.lease)
	})
}
