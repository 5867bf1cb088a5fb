package background

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tcckit/tcckit/internal/stack"
)

// State says what runs and where it is reached.
type State struct {
	// PID is the process that keeps the others running.
	PID int `json:"pid"`
	// Services are the services by name.
	Services map[string]stack.Addresses `json:"services"`
	// DTM is where the coordinator is reached.
	DTM stack.DTM `json:"dtm"`
	// RocketMQ are the addresses of the name servers, none if messages stay within their process.
	RocketMQ []string `json:"rocketmq,omitempty"`
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// writeState replaces the state at once, so that nobody reads half of it.
func writeState(dir string, s State) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("background: %w", err)
	}
	next := statePath(dir) + ".next"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("background: %w", err)
	}
	if err := os.Rename(next, statePath(dir)); err != nil {
		return fmt.Errorf("background: %w", err)
	}
	return nil
}

// readState returns the state that the process of that id wrote, and false if it has not yet.
func readState(dir string, pid int) (State, bool, error) {
	text, err := os.ReadFile(statePath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("background: %w", err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return State{}, false, fmt.Errorf("background: %s: %w", statePath(dir), err)
	}
	return s, s.PID == pid, nil
}
