package messaging

import "errors"

var (
	// ErrUnavailable says that the broker, or what a handler needs, is away
	// just now: any message would have failed, and the same one may succeed
	// later. It is not held against the message.
	ErrUnavailable = errors.New("unavailable")
	// ErrPermanent says that this message will never succeed, such as one that
	// is too large or that cannot be read: it need not be tried again.
	ErrPermanent = errors.New("permanent")
)

// Permanent marks err as [ErrPermanent]. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, ErrPermanent}
}

// Unavailable marks err as [ErrUnavailable]. It returns nil for nil.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, ErrUnavailable}
}

// marked is an error whose text is its cause's alone.
type marked struct{ cause, mark error }

func (e *marked) Error() string   { return e.cause.Error() }
func (e *marked) Unwrap() []error { return []error{e.cause, e.mark} }
