//go:build unix

package background

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrRunning says that the shop of a folder runs already.
var ErrRunning = errors.New("it runs already")

// lock is held by the process that keeps the shop of a folder running. It is a lock of POSIX's kind, since
// the system tells who holds one. It belongs to the process: nothing else in it may open the file.
type lock struct{ file *os.File }

func lockPath(dir string) string { return filepath.Join(dir, "pid") }

func wholeFile(kind int16) *unix.Flock_t { return &unix.Flock_t{Type: kind, Whence: io.SeekStart} }

// acquire takes the lock and writes this process's id into the file, for people, or returns ErrRunning.
func acquire(dir string) (*lock, error) {
	f, err := os.OpenFile(lockPath(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, wholeFile(unix.F_WRLCK))
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrRunning
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("background: %s: %w", lockPath(dir), err), f.Close())
	}
	return &lock{f}, nil
}

// release lets the lock go. The file stays: removing it would let two processes hold locks at once.
func (l *lock) release() error { return l.file.Close() }

// holder returns the id of the process that holds the lock, 0 if none does.
func holder(dir string) (int, error) {
	f, err := os.Open(lockPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("background: %w", err)
	}
	question := wholeFile(unix.F_WRLCK)
	err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, question)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("background: %s: %w", lockPath(dir), err)
	}
	if question.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(question.Pid), nil
}
