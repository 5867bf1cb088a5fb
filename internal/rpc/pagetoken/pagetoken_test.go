package pagetoken_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/rpc/pagetoken"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	key, err := pagetoken.Decode("orders\x00a", pagetoken.Encode("orders\x00a", "k"))
	require.NoError(t, err)
	require.Equal(t, "k", key)
	key, err = pagetoken.Decode("orders\x00a", "")
	require.NoError(t, err)
	require.Empty(t, key)
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	good := pagetoken.Encode("orders\x00a", "0192")
	for name, token := range map[string]string{
		"another list":     pagetoken.Encode("orders\x00b", "0192"),
		"cut short":        good[:len(good)-1],
		"longer":           good + "A",
		"no base64":        "?" + good[1:],
		"padding":          good + "=",
		"empty key":        pagetoken.Encode("orders\x00a", ""),
		"a key as it is":   "0192",
		"another version":  "Ag" + good[2:],
		"of another scope": pagetoken.Encode("orders", "a\x000192"),
	} {
		_, err := pagetoken.Decode("orders\x00a", token)
		require.ErrorIs(t, err, pagetoken.ErrBad, name)
	}
}

// Whatever a caller sends is decoded to what Encode was given, or refused.
func FuzzDecode(f *testing.F) {
	f.Add("items", pagetoken.Encode("items", "sku-1"))
	f.Add("items", "")
	f.Add("", "AQ")
	f.Add("orders\x00a", "////////")
	f.Fuzz(func(t *testing.T, scope, token string) {
		key, err := pagetoken.Decode(scope, token)
		if err != nil {
			require.ErrorIs(t, err, pagetoken.ErrBad)
			return
		}
		if token != "" {
			require.Equal(t, token, pagetoken.Encode(scope, key))
		}
	})
}
