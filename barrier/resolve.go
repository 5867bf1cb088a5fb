package barrier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// recordTimeout bounds what is written down after the act, when the caller may
// have gone.
const recordTimeout = 5 * time.Second

// Decision is a person's decision about branches of one global transaction.
type Decision struct {
	GID string
	// BranchID names one branch. Empty: all that are TRIED in this database.
	BranchID string
	// Phase is tcc.Confirm or tcc.Cancel.
	Phase tcc.Phase
	// By says who decided, and Reason why. Both are recorded, and required.
	By, Reason string
}

// OvertakenError says that a branch could not be finished as decided because it
// ended the other way before.
type OvertakenError struct {
	Branch tcc.Branch // Phase is what was decided
	State  State      // in which it ended
}

func (e *OvertakenError) Error() string {
	return fmt.Sprintf("branch %s of %s is %s and cannot be %sed any more", e.Branch.ID, e.Branch.GID, e.State, e.Branch.Phase)
}

// Resolve finishes branches as a person decided, whatever the coordinator says:
// the caller is to ask it first. It returns a record for each branch of the
// decision. One that has ended already as decided is no error; its open records
// are completed. A decision whose record is open, because its process died or
// the participant was away, is simply made again.
//
// Errors: *[OvertakenError], after which no further branch is touched; what the
// participant answered; an error that wraps
// [ErrNoSuchBranch] if there is none in this database. Nothing is done about a
// whole transaction of which a branch in this database ended the other way.
func (r *Resolver) Resolve(ctx context.Context, d Decision) ([]Resolution, error) {
	branches, err := r.cfg.Store.Branches(ctx, d.GID)
	if err != nil {
		return nil, err
	}
	meant := slices.DeleteFunc(branches, func(b Branch) bool { return d.BranchID != "" && b.BranchID != d.BranchID })
	if len(meant) == 0 {
		return nil, fmt.Errorf("%w: gid %s, branch %q", ErrNoSuchBranch, d.GID, d.BranchID)
	}
	if d.BranchID == "" {
		if err := r.contradicted(meant, d.Phase); err != nil {
			return nil, err
		}
	}
	var done []Resolution
	var errs []error
	for _, b := range meant {
		res, err := r.finish(ctx, b, Resolution{Phase: d.Phase, Basis: ByOperator, By: d.By, Reason: d.Reason})
		done = append(done, res)
		errs = append(errs, err)
		var overtaken *OvertakenError
		if errors.As(err, &overtaken) {
			break // somebody decides otherwise at this moment: the rest is theirs
		}
	}
	return done, errors.Join(errs...)
}

// contradicted keeps a decision about a whole transaction from being done to
// some of its branches after others have ended the other way.
func (r *Resolver) contradicted(branches []Branch, phase tcc.Phase) error {
	for _, b := range branches {
		if b.State == Tried {
			continue
		}
		if err := r.overtaken(tcc.Branch{GID: b.GID, ID: b.BranchID, Phase: phase}, b.State); err != nil {
			return fmt.Errorf("nothing was done, decide about each branch by itself: %w", err)
		}
	}
	return nil
}

// ErrNoSuchBranch says that the database has no barrier row of a branch: it was
// never tried here, or the row was swept long after its end.
var ErrNoSuchBranch = errors.New("no such branch in this participant's database")

// finish brings one branch to the end that res names, and returns the completed
// record. It may be killed after any statement: what it leaves is an open
// record, and the branch either TRIED, so that the same is done again, or ended,
// so that the record is completed.
func (r *Resolver) finish(ctx context.Context, b Branch, res Resolution) (Resolution, error) {
	res.GID, res.BranchID, res.Before = b.GID, b.BranchID, b.State
	if err := res.Validate(); err != nil {
		return res, err
	}
	delivery := tcc.Branch{GID: b.GID, ID: b.BranchID, Phase: res.Phase}
	if b.State != Tried {
		res.After = b.State
		return res, errors.Join(r.overtaken(delivery, b.State), r.complete(ctx, b))
	}
	method, err := r.cfg.Method(b.Method, res.Phase)
	if err != nil {
		return res, err
	}
	delivery.Method, res.Method = method, method
	if err := r.cfg.Store.BeginResolution(ctx, res); err != nil {
		return res, err
	}
	sent := r.cfg.Sender.Send(ctx, delivery, b.Request)
	after, err := r.record(ctx, &res, sent)
	switch {
	case err != nil:
	case after == Tried && sent == nil:
		err = fmt.Errorf("branch %s of %s is still TRIED although its %s was answered: what was called is not the participant of this database", b.BranchID, b.GID, res.Phase)
	case after == Tried:
		err = fmt.Errorf("%s of branch %s of %s: %w", res.Phase, b.BranchID, b.GID, sent)
	default:
		err = r.overtaken(delivery, after)
	}
	r.tell(ctx, res, err)
	return res, err
}

// record notes how an attempt ended, also for a caller who has gone: the act
// was done.
func (r *Resolver) record(ctx context.Context, res *Resolution, sent error) (State, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	state, err := r.state(ctx, res.GID, res.BranchID)
	if err != nil {
		return None, err
	}
	res.After, res.Err = state, ""
	if sent != nil {
		res.Err = sent.Error()
	}
	return state, r.cfg.Store.EndResolution(ctx, *res)
}

func (r *Resolver) state(ctx context.Context, gid, branchID string) (State, error) {
	branches, err := r.cfg.Store.Branches(ctx, gid)
	if err != nil {
		return None, err
	}
	for _, b := range branches {
		if b.BranchID == branchID {
			return b.State, nil
		}
	}
	return None, nil
}

// overtaken is nil if a branch in that state has ended as decided.
func (r *Resolver) overtaken(b tcc.Branch, s State) error {
	if action, _ := Decide(s, b.Phase); s.Terminal() && action == Replay {
		return nil
	}
	return &OvertakenError{Branch: b, State: s}
}

// complete ends the open records of a branch that has ended: whoever began them
// did not come to it.
func (r *Resolver) complete(ctx context.Context, b Branch) error {
	open, err := r.cfg.Store.Resolutions(ctx, ResolutionsOptions{GID: b.GID, OpenOnly: true, Limit: 1000})
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range open {
		if o.BranchID == b.BranchID {
			o.After = b.State
			errs = append(errs, r.cfg.Store.EndResolution(ctx, o))
		}
	}
	return errors.Join(errs...)
}
