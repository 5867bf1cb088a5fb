package participants

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// suspension keeps a participant that has not answered for long from holding up what others wait for, DTM's few
// recovery loops above all. Then one call at a time tries it. The others wait a moment for what becomes of that, and
// fail unless it was answered.
type suspension struct {
	mu    sync.Mutex
	since time.Time     // of the first call without an answer since the last with one; zero: it answers
	trial chan struct{} // closed when the call that tries has ended; nil: none does
}

// admit tells whether a call is the one that tries, or is not to be made. A call that is made must be reported.
func (s *suspension) admit(ctx context.Context, patience, moment time.Duration) (trial bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	for {
		s.mu.Lock()
		since, other := s.since, s.trial
		if since.IsZero() || time.Since(since) < patience {
			s.mu.Unlock()
			return false, nil
		}
		if other == nil {
			s.trial = make(chan struct{})
			s.mu.Unlock()
			return true, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return false, status.Errorf(codes.Unavailable, "no answer since %s; another call is trying it", since.UTC().Format(time.RFC3339))
		}
	}
}

// report notes whether a call was answered.
func (s *suspension) report(trial, reached bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case reached:
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = time.Now()
	}
	if trial {
		close(s.trial)
		s.trial = nil
	}
}
