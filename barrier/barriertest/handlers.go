package barriertest

import (
	"context"
	"strings"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func handlers() []testCase {
	return []testCase{
		{name: "Lifecycle", forms: mainForms, run: handlerLifecycle},
		{name: "Rejection", forms: mainForms, run: handlerRejection},
		{name: "WrongCall", run: handlerWrongCall},
		{name: "TooLong", forms: mainForms, run: handlerTooLong},
	}
}

// handler calls the helpers of package barrier as a gRPC handler does.
type handler struct {
	w *world
	b *branch
}

func (h handler) context(p tcc.Phase) context.Context {
	return tcc.NewContext(h.w.ctx, h.b.identity(p))
}

func (h handler) try(ctx context.Context, request, response string) (*wrapperspb.StringValue, answer) {
	resp, err := barrier.Try(ctx, h.w.Store, wrapperspb.String(request), func(ctx context.Context, tx barrier.Tx) (*wrapperspb.StringValue, error) {
		if _, err := h.b.work(tcc.Try)(ctx, tx); err != nil {
			return nil, err
		}
		return wrapperspb.String(response), nil
	})
	return resp, h.answer(ctx, err)
}

func (h handler) end(ctx context.Context, p tcc.Phase) answer {
	f := barrier.Confirm
	if p == tcc.Cancel {
		f = barrier.Cancel
	}
	err := f(ctx, h.w.Store, func(ctx context.Context, tx barrier.Tx) error {
		_, err := h.b.work(p)(ctx, tx)
		return err
	})
	return h.answer(ctx, err)
}

// answer reads the outcome that the helpers leave for the interceptor.
func (h handler) answer(ctx context.Context, err error) answer {
	outcome, _ := tcc.OutcomeFromContext(ctx)
	return answer{barrier.Result{Outcome: outcome}, err}
}

func handlerLifecycle(w *world) {
	it := w.item(w.t, account, "a", 100)
	for _, text := range []string{"", "receipt", strings.Repeat("x", 4000)} {
		for _, end := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
			h := handler{w, w.debit(it, 1)}
			resp, a := h.try(h.context(tcc.Try), "request", text)
			w.want(done, a)
			require.Equal(w.t, text, resp.GetValue())
			resp, a = h.try(h.context(tcc.Try), "request", "another answer")
			w.want(duplicate, a)
			require.NotNil(w.t, resp)
			require.Equal(w.t, text, resp.GetValue())
			w.want(done, h.end(h.context(end), end))
			w.want(duplicate, h.end(h.context(end), end))
		}
	}
	h := handler{w, w.debit(it, 1)}
	w.want(emptyCancel, h.end(h.context(tcc.Cancel), tcc.Cancel))
	ctx := h.context(tcc.Try)
	_, a := h.try(ctx, "request", "late")
	w.want(lateTry, a)
	require.Equal(w.t, tcc.LateTry, a.res.Outcome)
	w.want(conflict(barrier.EmptyCancelled), h.end(h.context(tcc.Confirm), tcc.Confirm))
}

func handlerRejection(w *world) {
	it := w.item(w.t, account, "a", 5)
	h := handler{w, w.debit(it, 6)}
	_, first := h.try(h.context(tcc.Try), "request", "no")
	w.want(rejected, first)
	w.refill(w.t, it, 10)
	_, again := h.try(h.context(tcc.Try), "request", "no")
	w.want(rejected, again)
	require.Equal(w.t, first.rejection(w.t), again.rejection(w.t))
	w.want(duplicate, h.end(h.context(tcc.Cancel), tcc.Cancel))
}

// handlerWrongCall: a call that is no delivery of the phase reaches no
// database.
func handlerWrongCall(w *world) {
	h := handler{w, w.debit(w.item(w.t, account, "a", 5), 1)}
	_, a := h.try(w.ctx, "request", "no")
	require.ErrorIs(w.t, a.err, tcc.ErrNoBranch)
	require.ErrorIs(w.t, h.end(w.ctx, tcc.Confirm).err, tcc.ErrNoBranch)
	require.ErrorIs(w.t, h.end(w.ctx, tcc.Cancel).err, tcc.ErrNoBranch)
	for _, p := range allPhases {
		if p != tcc.Try {
			_, a := h.try(h.context(p), "request", "no")
			w.want(invalid, a)
			w.want(invalid, h.end(h.context(tcc.Try), p))
		}
	}
	require.Zero(w.t, h.b.ran(tcc.Try))
	w.wantState(barrier.None, h.b)
}

func handlerTooLong(w *world) {
	h := handler{w, w.debit(w.item(w.t, account, "a", 5), 1)}
	_, a := h.try(h.context(tcc.Try), "request", strings.Repeat("x", barrier.MaxResponseLen))
	w.want(internal, a)
	w.wantState(barrier.None, h.b)
	_, a = h.try(h.context(tcc.Try), strings.Repeat("x", barrier.MaxRequestLen), "response")
	w.want(invalid, a)
	w.wantState(barrier.None, h.b)
	_, a = h.try(h.context(tcc.Try), "request", "response")
	w.want(done, a)
}
