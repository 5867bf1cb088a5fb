package stack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tcckit/tcckit/tcc"
)

// ensureKey makes the key with which the stack's transactions are signed, unless the folder has one: what
// is in flight must still be accepted after a restart.
func ensureKey(dir string) (path string, err error) {
	path = filepath.Join(dir, "keys")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("stack: signing key: %w", err)
	}
	key := make([]byte, tcc.MinKeyLen)
	_, _ = rand.Read(key) // never fails
	_, err = fmt.Fprintf(f, "local:%s\n", hex.EncodeToString(key))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("stack: signing key: %w", err), os.Remove(path))
	}
	return path, nil
}
