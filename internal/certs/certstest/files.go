package certstest

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/certs"
)

// In are the paths of a set of files in a folder, named as Kubernetes names
// them in a Secret of TLS.
func In(dir string) certs.Files {
	return certs.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt")}
}

// Write writes a set of files, each in one step, one after another.
func Write(t testing.TB, files certs.Files, pair Pair, authorities ...*Authority) {
	t.Helper()
	Replace(t, files.CA, Bundle(authorities...))
	Replace(t, files.Key, pair.Key)
	Replace(t, files.Cert, pair.Cert)
}

// Bundle is the PEM of several CAs.
func Bundle(authorities ...*Authority) []byte {
	var text []byte
	for _, a := range authorities {
		text = append(text, a.PEM()...)
	}
	return text
}

// Replace gives a file new contents in one step, by renaming another one.
func Replace(t testing.TB, path string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", text, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// Open opens files, and logs nothing.
func Open(t testing.TB, files certs.Files) *certs.Source {
	t.Helper()
	s, err := certs.Open(certs.Config{Files: files, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return s
}

// Volume is a Secret as Kubernetes mounts it: all of its files are replaced at
// once, by one symbolic link.
type Volume struct {
	dir     string
	version int
}

// NewVolume mounts a Secret in a folder that is removed when the test ends.
func NewVolume(t testing.TB, pair Pair, authorities ...*Authority) *Volume {
	t.Helper()
	v := &Volume{dir: t.TempDir()}
	v.Update(t, pair, authorities...)
	for _, path := range []string{"tls.crt", "tls.key", "ca.crt"} {
		require.NoError(t, os.Symlink(filepath.Join("..data", path), filepath.Join(v.dir, path)))
	}
	return v
}

// Files are the paths of what is mounted.
func (v *Volume) Files() certs.Files { return In(v.dir) }

// Update changes the Secret. Its old files are removed.
func (v *Volume) Update(t testing.TB, pair Pair, authorities ...*Authority) {
	t.Helper()
	data, link := filepath.Join(v.dir, "..data"), filepath.Join(v.dir, "..data_tmp")
	old, _ := os.Readlink(data) // none at first
	v.version++
	name := fmt.Sprintf("..2026_%d", v.version)
	dir := filepath.Join(v.dir, name)
	require.NoError(t, os.Mkdir(dir, 0o700))
	Write(t, In(dir), pair, authorities...)
	require.NoError(t, os.Symlink(name, link))
	require.NoError(t, os.Rename(link, data))
	if old != "" {
		require.NoError(t, os.RemoveAll(filepath.Join(v.dir, old)))
	}
}
