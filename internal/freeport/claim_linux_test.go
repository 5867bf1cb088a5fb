package freeport

import (
	"math/rand/v2"
	"testing"
)

func TestAPortIsGivenOnce(t *testing.T) {
	t.Parallel()
	// Above the range, in a space so wide that nobody else has these.
	port := 1<<16 + rand.IntN(1<<40)
	if !claim(port) {
		t.Fatal("a port that nobody has was not given")
	}
	if claim(port) {
		t.Fatal("the port was given again")
	}
	if !claim(port + 1) {
		t.Fatal("the next port was not given")
	}
}
