package reload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bench is a value of two files, whose content is joined; "bad" is refused.
type bench struct {
	*Value[string]

	a, b     string
	failures []error
}

func open(t *testing.T, every time.Duration) *bench {
	t.Helper()
	b := &bench{a: filepath.Join(t.TempDir(), "a"), b: filepath.Join(t.TempDir(), "b")}
	write(t, b.a, "1")
	write(t, b.b, "2")
	var err error
	b.Value, err = Open(every, join, func(err error) { b.failures = append(b.failures, err) }, b.a, b.b)
	require.NoError(t, err)
	return b
}

func join(contents [][]byte) (string, error) {
	if string(contents[0]) == "bad" {
		return "", errors.New("bad content")
	}
	return string(contents[0]) + "+" + string(contents[1]), nil
}

// write replaces a file by renaming another onto it.
func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(content), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	b := open(t, 0)
	require.Equal(t, "1+2", b.Get())
	write(t, b.b, "3")
	require.Equal(t, "1+3", b.Get())
	write(t, b.a, "")
	require.Equal(t, "+3", b.Get())
	require.Empty(t, b.failures)
}

func TestASwappedLinkIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"v1", "v2"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "a"), version)
	}
	link := func(version string) {
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, "data")))
	}
	link("v1")
	v, err := Open(0, func(c [][]byte) (string, error) { return string(c[0]), nil }, func(error) {}, filepath.Join(dir, "data", "a"))
	require.NoError(t, err)
	require.Equal(t, "v1", v.Get())
	link("v2")
	require.Equal(t, "v2", v.Get())
}

func TestTheLastGoodValueStays(t *testing.T) {
	t.Parallel()
	b := open(t, 0)
	write(t, b.a, "bad")
	for range 3 {
		require.Equal(t, "1+2", b.Get())
	}
	require.Len(t, b.failures, 1, "each failure is told once")
	require.ErrorContains(t, b.failures[0], "bad content; what was read before stays in use")
	require.NoError(t, os.Remove(b.a))
	require.Equal(t, "1+2", b.Get())
	require.Equal(t, "1+2", b.Get())
	require.Len(t, b.failures, 2)
	require.ErrorIs(t, b.failures[1], os.ErrNotExist)
	write(t, b.a, "4")
	require.Equal(t, "4+2", b.Get())
}

// A certificate may not be valid yet by this machine's clock.
func TestWhatCannotBeUsedYetIsTriedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "old")
	left, told := 3, 0
	v, err := Open(0, func(c [][]byte) (string, error) {
		if string(c[0]) == "new" && left > 0 {
			left--
			return "", fmt.Errorf("%d seconds too early", left)
		}
		return string(c[0]), nil
	}, func(error) { told++ }, path)
	require.NoError(t, err)
	write(t, path, "new")
	for range 3 {
		require.Equal(t, "old", v.Get())
	}
	require.Equal(t, "new", v.Get())
	require.Equal(t, 1, told, "though each time another text")
}

func TestFilesAreNotLookedAtForEveryone(t *testing.T) {
	t.Parallel()
	b := open(t, time.Hour)
	write(t, b.a, "5")
	require.Equal(t, "1+2", b.Get())
}

func TestBadAtFirstIsAnError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	_, err := Open(0, join, nil, path, path)
	require.ErrorIs(t, err, os.ErrNotExist)
	write(t, path, "bad")
	_, err = Open(0, join, nil, path, path)
	require.ErrorContains(t, err, "bad content")
	require.NoError(t, os.Truncate(path, maxSize+1))
	_, err = Open(0, join, nil, path, path)
	require.ErrorContains(t, err, "larger than")
}
