package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// askWhy has each failed guard's Otherwise say why, on the batch's own
// connection: it sees what the others have done, as if it came right after.
// It returns the shares whose Otherwise gave no rejection.
func (r *round) askWhy(p *plan) (special []*share) {
	for _, f := range p.rejected {
		err := r.why(p, f)
		if !errors.As(err, &f.rejection) {
			special = append(special, f.share)
			if r.hung {
				return special
			}
			continue
		}
		f.rejection = f.rejection.Fit()
	}
	return special
}

// why asks one share. An Otherwise that does not come back costs the batch its
// connection, but no more than whyBound.
func (r *round) why(p *plan, f *refusal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.share.ctx), whyBound)
	defer cancel()
	lease := r.lease
	open := func(ctx context.Context) (driver.Conn, error) { return lease.Conn, p.readOnly(ctx, lease) }
	said := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				said <- fmt.Errorf("barrier/mysql: Otherwise panicked: %v", v)
			}
		}()
		said <- sqlbranch.Why(ctx, sqlbranch.MySQL, f.stmt, open)
	}()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		// Whether it is using the connection is not known: no ROLLBACK, but
		// the server does that when the connection is closed.
		r.hung = true
		return ctx.Err()
	}
}
