//go:build unix

package freeport

import "testing"

func TestAPortIsGivenOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if !claim(first) {
		t.Fatal("a port that nobody has was not given")
	}
	if claim(first) {
		t.Fatal("the port was given again")
	}
	if !claim(first + 1) {
		t.Fatal("the next port was not given")
	}
}
