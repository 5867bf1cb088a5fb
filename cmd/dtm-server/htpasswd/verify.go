package htpasswd

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	// atOnce bounds the checks under way: bcrypt is made to be slow, and the processor is for transactions.
	atOnce = 2
	// waiting bounds those that wait for their turn.
	waiting = 16
	// wrongPause is how long a wrong password keeps its place, so that guessing is slow whatever the cost of the
	// hash: htpasswd's own takes a millisecond.
	wrongPause = 250 * time.Millisecond
	// remember is how long a right password is not computed again; a browser sends it with every request.
	remember = time.Minute
	// remembered bounds how many are.
	remembered = 1000
)

// ErrBusy says that too many passwords are being checked. It tells nothing about this one.
var ErrBusy = errors.New("too many passwords are being checked; try again")

// guard keeps checks from taking the processor.
type guard struct {
	places, queue chan struct{}
	pause         time.Duration
	stranger      []byte // the hash of users that do not exist
	key           []byte // of the marks of right passwords

	mu    sync.Mutex
	known map[[sha256.Size]byte]time.Time // marks, and until when they count
}

func newGuard() *guard {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return &guard{
		places: make(chan struct{}, atOnce), queue: make(chan struct{}, atOnce+waiting), pause: wrongPause,
		stranger: []byte(nobody), key: key,
		known: make(map[[sha256.Size]byte]time.Time),
	}
}

// nobody is the hash of random bytes that are gone. It is computed for users that do not exist, so that they take
// as long as others. Its cost is that of Line.
const nobody = "$2a$10$kV64kg2Hq1YQJgZ0pwPgouLTSvu80KPAtaj0SBwXBtTFQlGPb0dMC"

// Verify tells whether user has this password. It may take seconds; with an error nothing is known.
func (f *File) Verify(ctx context.Context, user, password string) (bool, error) {
	hash, exists := f.users.Get()[user]
	if !exists {
		hash = f.guard.stranger
	}
	g := f.guard
	mark := g.mark(user, password, hash)
	if exists && g.knows(mark) {
		return true, nil
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	pause := time.After(g.pause) // from now on, or the cost of the hash would tell who exists
	right := bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && exists
	if right {
		g.remember(mark)
		return true, nil
	}
	<-pause // also if ctx has ended: who hangs up when no answer comes at once would guess as fast as the hash is computed
	return false, nil
}

// enter waits for a place.
func (g *guard) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.queue <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case g.places <- struct{}{}:
		return func() { <-g.places; <-g.queue }, nil
	case <-ctx.Done():
		<-g.queue
		return nil, ctx.Err()
	}
}

// mark stands for a password that was compared with a hash, so that another hash makes another mark.
func (g *guard) mark(user, password string, hash []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, g.key)
	for _, part := range [][]byte{[]byte(user), hash, []byte(password)} {
		sum := sha256.Sum256(part)
		mac.Write(sum[:])
	}
	return [sha256.Size]byte(mac.Sum(nil))
}

func (g *guard) knows(mark [sha256.Size]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.known[mark])
}

func (g *guard) remember(mark [sha256.Size]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= remembered {
		clear(g.known)
	}
	g.known[mark] = time.Now().Add(remember)
}
