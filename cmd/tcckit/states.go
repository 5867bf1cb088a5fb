package main

import (
	"fmt"
	"strings"
)

// parseStates finds states by their names, in capitals or not.
func parseStates[S any](names []string, known []S, nameOf func(S) string) ([]S, error) {
	var states []S
	for _, name := range names {
		found := false
		for _, s := range known {
			if strings.EqualFold(name, nameOf(s)) {
				states, found = append(states, s), true
			}
		}
		if !found {
			all := make([]string, len(known))
			for i, s := range known {
				all[i] = nameOf(s)
			}
			return nil, fmt.Errorf("%q: want any of %s", name, strings.Join(all, ", "))
		}
	}
	return states, nil
}
