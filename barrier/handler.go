package barrier

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tcckit/tcckit/tcc"
)

// Try runs the Try of the branch that ctx belongs to. req is kept with the row
// until the branch ends, and the response for duplicates. work may run more
// than once.
//
// It returns errors for tcc's server interceptor to map: tcc.ErrNoBranch and
// tcc.ErrInvalid for a call that is not a Try of a global transaction, and
// those of [Store.Do].
func Try[Resp proto.Message](ctx context.Context, store Store, req proto.Message, work func(ctx context.Context, tx Tx) (Resp, error)) (Resp, error) {
	var none Resp
	b, err := branch(ctx, tcc.Try)
	if err != nil {
		return none, err
	}
	request, err := proto.Marshal(req)
	if err != nil {
		return none, fmt.Errorf("barrier: marshal the request of %s: %w", b, err)
	}
	res, err := do(ctx, store, Call{Branch: b, Request: request}, func(ctx context.Context, tx Tx) ([]byte, error) {
		resp, err := work(ctx, tx)
		if err != nil {
			return nil, err
		}
		out, err := proto.Marshal(resp)
		if err != nil {
			return nil, fmt.Errorf("barrier: marshal the response of %s: %w", b, err)
		}
		return out, nil
	})
	if err != nil {
		return none, err
	}
	resp, ok := none.ProtoReflect().Type().New().Interface().(Resp)
	if !ok {
		return none, fmt.Errorf("barrier: %T does not make messages of its own type", none)
	}
	if err := proto.Unmarshal(res.Response, resp); err != nil {
		return none, fmt.Errorf("barrier: the stored response of %s is no %T: %w", b, none, err)
	}
	return resp, nil
}

// Confirm runs the Confirm of the branch that ctx belongs to. work must
// succeed: what it needs was set aside by Try. Errors are as those of [Try].
func Confirm(ctx context.Context, store Store, work func(ctx context.Context, tx Tx) error) error {
	return finish(ctx, store, tcc.Confirm, work)
}

// Cancel runs the Cancel of the branch that ctx belongs to. work runs only if
// the Try took effect. Errors are as those of [Try].
func Cancel(ctx context.Context, store Store, work func(ctx context.Context, tx Tx) error) error {
	return finish(ctx, store, tcc.Cancel, work)
}

func finish(ctx context.Context, store Store, phase tcc.Phase, work func(ctx context.Context, tx Tx) error) error {
	b, err := branch(ctx, phase)
	if err != nil {
		return err
	}
	_, err = do(ctx, store, Call{Branch: b}, func(ctx context.Context, tx Tx) ([]byte, error) {
		return nil, work(ctx, tx)
	})
	return err
}

func branch(ctx context.Context, want tcc.Phase) (tcc.Branch, error) {
	b, ok := tcc.FromContext(ctx)
	if !ok {
		return tcc.Branch{}, tcc.ErrNoBranch
	}
	if b.Phase != want {
		return tcc.Branch{}, tcc.Invalidf("%s is a %s, and was called as a %s: check the branch's methods", b.Method, want, b.Phase)
	}
	if err := b.Validate(); err != nil {
		return tcc.Branch{}, tcc.Invalidf("%s", err)
	}
	return b, nil
}

func do(ctx context.Context, store Store, call Call, work Work) (Result, error) {
	res, err := store.Do(ctx, call, work)
	if err == nil {
		tcc.RecordOutcome(ctx, res.Outcome)
		return res, nil
	}
	var late *LateTryError
	if errors.As(err, &late) {
		tcc.RecordOutcome(ctx, tcc.LateTry)
	}
	return Result{}, err
}
