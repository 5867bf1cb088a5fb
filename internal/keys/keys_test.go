package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/keys"
	"github.com/tcckit/tcckit/tcc"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestTheFirstKeySignsAndAllVerify(t *testing.T) {
	text := "# since May\nnew:" + base64.StdEncoding.EncodeToString(key(0xfe)) + "\n\n  old:" + hex.EncodeToString(key(2)) + "\r\n"
	ring, err := keys.Load(write(t, text))
	require.NoError(t, err)

	now := time.Now()
	for id, k := range map[string][]byte{"new": key(0xfe), "old": key(2)} {
		alone, err := tcc.NewKeyring(id, map[string][]byte{id: k})
		require.NoError(t, err)
		_, err = ring.Verify("gid", alone.Sign("gid", now), now)
		require.NoError(t, err, id)
		_, err = alone.Verify("gid", ring.Sign("gid", now), now)
		if id == "new" {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, tcc.ErrSignature)
		}
	}
}

func TestKeysFromTheEnvironment(t *testing.T) {
	t.Setenv(keys.Environment, "")
	ring, err := keys.Load("")
	require.NoError(t, err)
	require.Nil(t, ring)

	t.Setenv(keys.Environment, "a:"+hex.EncodeToString(key(1))+",b:"+base64.RawURLEncoding.EncodeToString(key(0xff))+"\n")
	ring, err = keys.Load("")
	require.NoError(t, err)
	require.NotNil(t, ring)
}

func TestBadKeys(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":         {"# none\n", "there is no key"},
		"no id":           {hex.EncodeToString(key(1)), "entry 1 has no colon"},
		"too short":       {"a:0102", "2 bytes"},
		"not encoded":     {"a:s3cret!", "neither hex nor base64"},
		"the same twice":  {"a:" + hex.EncodeToString(key(1)) + "\na:" + hex.EncodeToString(key(2)), "entry 2 has the id of one before"},
		"a malformed id":  {"a b:" + hex.EncodeToString(key(1)), "key id"},
		"an empty key":    {"a:", "0 bytes"},
		"an empty key id": {":" + hex.EncodeToString(key(1)), "key id"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keys.Load(write(t, test.text))
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
	_, err := keys.Load(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
