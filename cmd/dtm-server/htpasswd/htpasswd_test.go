package htpasswd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// alice is a line as Apache's htpasswd -nbB alice secret prints it: cost 5, variant 2y.
const alice = "alice:$2y$05$YRxUmGRTbVzDPmRQHvIEoeZUQhIFzVAwMz3jH3xFqf9Ld3Tqa2U0C"

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	return string(hash)
}

// openLines opens a file of lines, which is looked at with every check.
func openLines(t *testing.T, lines ...string) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, lines...)
	f, err := open(path, 0, func(error) {})
	require.NoError(t, err)
	f.guard.pause, f.guard.stranger = 0, []byte(hashOf(t, "")) // quick
	return f, path
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
}

func verify(t *testing.T, f *File, user, password string) bool {
	t.Helper()
	right, err := f.Verify(t.Context(), user, password)
	require.NoError(t, err)
	return right
}

func TestVerify(t *testing.T) {
	t.Parallel()
	f, path := openLines(t, "# who may", "", "bob:"+hashOf(t, "pass:word"), "  carol:"+strings.Replace(hashOf(t, "c"), "$2a$", "$2y$", 1)+"  \r")
	for range 2 { // the second time from memory
		require.True(t, verify(t, f, "bob", "pass:word"))
		require.True(t, verify(t, f, "carol", "c"), "as htpasswd writes it")
		for _, wrong := range [][2]string{{"bob", "password"}, {"bob", ""}, {"carol", "pass:word"}, {"Bob", "pass:word"}, {"", ""}, {"# who may", ""}, {"nobody", "x"}} {
			require.False(t, verify(t, f, wrong[0], wrong[1]), "%v", wrong)
		}
	}
	write(t, path, "bob:"+hashOf(t, "new"))
	require.False(t, verify(t, f, "bob", "pass:word"), "what is remembered is of the old hash")
	require.True(t, verify(t, f, "bob", "new"))
	require.False(t, verify(t, f, "carol", "c"))
	write(t, path, "")
	require.True(t, verify(t, f, "bob", "new"), "a broken file is not taken")
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	_, err := Open(path, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	for content, want := range map[string]string{
		"":                                      "there is no user in it",
		"# nobody\n\n":                          "there is no user in it",
		"secret-secret":                         "line 1 is not user:hash",
		":" + hashOf(t, "x"):                    "line 1 is not user:hash",
		"\nbob:secret-secret":                   `line 2: the hash of "bob" is none of bcrypt's`,
		"bob:$apr1$x$secret-secret":             "htpasswd -nB bob",
		"bob:{SHA}secret-secret":                "none of bcrypt's",
		"bob:$2y$31$" + strings.Repeat("a", 53): "more than 15",
		"bob:" + hashOf(t, "x") + "\nbob:" + hashOf(t, "y"): `user "bob" is there already`,
	} {
		write(t, path, content)
		_, err := Open(path, nil)
		require.ErrorContains(t, err, want, content)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "secret-secret", "it may be a password")
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	line, err := Line("bob", "s3cret")
	require.NoError(t, err)
	user, hash, _ := strings.Cut(line, ":")
	require.Equal(t, "bob", user)
	require.NoError(t, bcrypt.CompareHashAndPassword([]byte(hash), []byte("s3cret")))
	for _, bad := range [][2]string{{"", "x"}, {"a:b", "x"}, {" a", "x"}, {"#a", "x"}, {"a\nb", "x"}, {"bob", ""}, {"bob", strings.Repeat("x", 73)}} {
		_, err := Line(bad[0], bad[1])
		require.Error(t, err, "%q", bad)
	}
}

// The hash that is computed for users that do not exist is one.
func TestNobodysHash(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, bcrypt.CompareHashAndPassword([]byte(nobody), []byte("x")), bcrypt.ErrMismatchedHashAndPassword)
}

// However many guess, few passwords are computed at once, and few wait; who was right before does not.
func TestGuessingIsSlowAndBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := openLines(t, "bob:"+hashOf(t, "right"), alice)
		require.True(t, verify(t, f, "bob", "right"))
		f.guard.pause = wrongPause
		ctx, cancel := context.WithCancel(t.Context())
		var guessing sync.WaitGroup
		for range atOnce + waiting {
			guessing.Go(func() {
				right, _ := f.Verify(ctx, "bob", "guess")
				require.False(t, right)
			})
		}
		synctest.Wait()
		require.Len(t, f.guard.queue, atOnce+waiting)
		require.Len(t, f.guard.places, atOnce)
		_, err := f.Verify(ctx, "alice", "guess")
		require.ErrorIs(t, err, ErrBusy)
		require.True(t, verify(t, f, "bob", "right"))

		// Who does not wait for the answer guesses no faster.
		cancel()
		synctest.Wait()
		require.Len(t, f.guard.queue, atOnce)
		require.Len(t, f.guard.places, atOnce)
		guessing.Wait()
		require.Empty(t, f.guard.queue)
		require.Empty(t, f.guard.places)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := newGuard()
	for i := range remembered + 10 {
		g.remember([32]byte{byte(i), byte(i >> 8)})
	}
	require.LessOrEqual(t, len(g.known), remembered)
	g.known[[32]byte{1}] = time.Now().Add(-time.Second)
	require.False(t, g.knows([32]byte{1}), "for a time")
}
