//go:build unix

package freeport

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// claim takes a port for as long as this process runs, by a lock on a file that all processes of this user
// know; the system lets go of it when the process ends, however it does. It reports false if somebody, this
// process included, has the port. Where there is no place for such files nothing can be claimed, and every
// port is given.
func claim(port int) bool {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("tcckit-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return true
	}
	// A raw descriptor: an os.File would be closed, and with it the lock lost, when nobody refers to it.
	fd, err := syscall.Open(filepath.Join(dir, strconv.Itoa(port)), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return true
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	return true
}
