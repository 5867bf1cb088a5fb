package tcc_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/tcc"
)

// keyring signs with the first id and knows all of them.
func keyring(t testing.TB, signing string, ids ...string) *tcc.Keyring {
	t.Helper()
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[id] = bytes.Repeat([]byte(id), tcc.MinKeyLen)
	}
	k, err := tcc.NewKeyring(signing, keys)
	require.NoError(t, err)
	return k
}

func TestSignature(t *testing.T) {
	start := time.UnixMilli(1_800_000_000_123)
	sig := keyring(t, "old", "old").Sign("gid-1", start)

	got, err := keyring(t, "new", "new", "old").Verify("gid-1", sig, start.Add(time.Hour))
	require.NoError(t, err, "rotation: the old key is still accepted")
	require.True(t, start.Equal(got))

	parts := strings.Split(sig, ".")
	for name, forged := range map[string]string{
		"empty":         "",
		"no version":    strings.Join(parts[1:], "."),
		"other version": "v2." + strings.Join(parts[1:], "."),
		"other start":   strings.Replace(sig, parts[2], "1800000000124", 1),
		"no number":     strings.Replace(sig, parts[2], "x", 1),
		"cut mac":       sig[:len(sig)-1],
		"no mac":        strings.TrimSuffix(sig, parts[3]),
		"longer":        sig + ".x",
		"changed mac":   sig[:len(sig)-2] + map[bool]string{true: "AA", false: "BA"}[!strings.HasSuffix(sig, "AA")],
	} {
		_, err := keyring(t, "old", "old").Verify("gid-1", forged, start)
		require.ErrorIs(t, err, tcc.ErrSignature, name)
	}
	_, err = keyring(t, "old", "old").Verify("gid-2", sig, start)
	require.ErrorIs(t, err, tcc.ErrSignature, "another gid")
	_, err = keyring(t, "new", "new").Verify("gid-1", sig, start)
	require.ErrorIs(t, err, tcc.ErrSignature, "a key that was removed")
	_, err = keyring(t, "old", "old").Verify("gid-1", sig, start.Add(-time.Hour))
	require.ErrorIs(t, err, tcc.ErrSignature, "from the future")
}

func TestNewKeyringRefuses(t *testing.T) {
	long := bytes.Repeat([]byte("k"), tcc.MinKeyLen)
	for name, c := range map[string]struct {
		signing string
		keys    map[string][]byte
	}{
		"no keys":       {"a", nil},
		"unknown key":   {"a", map[string][]byte{"b": long}},
		"a short key":   {"a", map[string][]byte{"a": long[1:]}},
		"a dot":         {"a.b", map[string][]byte{"a.b": long}},
		"an empty id":   {"", map[string][]byte{"": long}},
		"a short other": {"a", map[string][]byte{"a": long, "b": nil}},
	} {
		_, err := tcc.NewKeyring(c.signing, c.keys)
		require.Error(t, err, name)
	}
}

// FuzzVerify: nothing but what Sign returned is accepted, and nothing panics.
func FuzzVerify(f *testing.F) {
	ring := keyring(f, "a", "a")
	start := time.UnixMilli(1_800_000_000_000)
	good := ring.Sign("gid-1", start)
	f.Add(good)
	f.Add("v1.a.1.")
	f.Add("v1.a.-9223372036854775808.AAAA")
	f.Fuzz(func(t *testing.T, sig string) {
		if _, err := ring.Verify("gid-1", sig, start); err == nil && sig != good {
			// Another start may be signed, but not by anybody without the key.
			t.Fatalf("accepted %q", sig)
		}
	})
}
