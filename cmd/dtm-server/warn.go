package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// warn tells of something that does not end the process.
func warn(about string, err error) { fmt.Fprintf(os.Stderr, "dtm-server: %s: %v\n", about, err) }

// seldom warns at most once in every, of what may happen with each call.
type seldom struct {
	every time.Duration

	mu   sync.Mutex
	last time.Time
}

func (s *seldom) warn(about string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.last) >= s.every {
		s.last = now
		warn(about, err)
	}
}
