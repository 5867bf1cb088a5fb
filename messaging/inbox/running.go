package inbox

import (
	"sync"
	"time"
)

// running are the runs of this process that have not ended. The zero value is
// ready.
type running struct {
	mu   sync.Mutex
	runs map[*run]struct{}
}

func (s *running) add(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs == nil {
		s.runs = make(map[*run]struct{})
	}
	r.began = time.Now()
	s.runs[r] = struct{}{}
}

func (s *running) remove(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, r)
}

// has reports whether a message is being run.
func (s *running) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.runs {
		if r.id == id {
			return true
		}
	}
	return false
}

// look counts the runs and tells the age of the oldest.
func (s *running) look() (n int, oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.runs {
		oldest = max(oldest, time.Since(r.began))
	}
	return len(s.runs), oldest
}
