package tcc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// MinKeyLen is the shortest key that a [Keyring] takes, in bytes: the output
// size of SHA-256, as RFC 2104 section 3 advises.
const MinKeyLen = 32

// maxSkew is how far a signature's start may lie in the future: clocks that
// differ by more are a fault to be seen, not to be tolerated.
const maxSkew = 5 * time.Minute

// ErrSignature says that a branch call has no valid signature. It becomes the
// gRPC code PermissionDenied.
var ErrSignature = errors.New("signature")

// Keyring signs and verifies the begin of global transactions. DTM's API has
// no authentication, so anybody who reaches it could make it call any
// participant; a participant with a keyring refuses branch calls whose global
// transaction was not begun by a holder of one of its keys.
//
// The signature covers the gid and the start time. It says nothing about
// branch, phase or payload, which the initiator does not know yet when it
// signs: that is for mutual TLS.
//
// A Keyring is immutable and safe for concurrent use.
type Keyring struct {
	signing string
	keys    map[string][]byte
}

// NewKeyring returns a keyring that signs with keys[signing] and verifies
// with all of keys. To rotate, first add the new key everywhere, then sign
// with it, then remove the old one when no transaction signed with it is left.
// An id is 1 to 32 letters, digits, '-' and '_'; a key has at least
// [MinKeyLen] bytes.
func NewKeyring(signing string, keys map[string][]byte) (*Keyring, error) {
	if _, ok := keys[signing]; !ok {
		return nil, fmt.Errorf("keyring: there is no key %q to sign with", signing)
	}
	k := &Keyring{signing: signing, keys: maps.Clone(keys)}
	for id, key := range k.keys {
		if !validKeyID(id) {
			return nil, fmt.Errorf("keyring: key id %q: want 1 to 32 letters, digits, '-' and '_'", cut(id, 64))
		}
		if len(key) < MinKeyLen {
			return nil, fmt.Errorf("keyring: key %q has %d bytes, want at least %d", id, len(key), MinKeyLen)
		}
		k.keys[id] = append([]byte(nil), key...)
	}
	return k, nil
}

func validKeyID(id string) bool {
	if id == "" || len(id) > 32 {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

const signatureVersion = "v1"

// Sign returns the signature of a global transaction that starts at start, in
// printable ASCII: version, key id, start in Unix milliseconds and
// HMAC-SHA256, joined by dots.
func (k *Keyring) Sign(gid string, start time.Time) string {
	ms := strconv.FormatInt(start.UnixMilli(), 10)
	mac := base64.RawURLEncoding.EncodeToString(sum(k.keys[k.signing], gid, ms))
	return signatureVersion + "." + k.signing + "." + ms + "." + mac
}

// Verify checks that signature is one of gid by a key of the ring and
// returns the start that was signed. Its errors wrap [ErrSignature] and do not
// say which part of a forged signature was wrong beyond its form. The
// comparison takes constant time.
func (k *Keyring) Verify(gid, signature string, now time.Time) (time.Time, error) {
	if signature == "" {
		return time.Time{}, fmt.Errorf("%w missing: the call has no %s metadata", ErrSignature, SignatureHeader)
	}
	parts := strings.Split(signature, ".")
	if len(parts) != 4 || parts[0] != signatureVersion {
		return time.Time{}, fmt.Errorf("%w malformed", ErrSignature)
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	if err != nil {
		return time.Time{}, fmt.Errorf("%w malformed", ErrSignature)
	}
	key, ok := k.keys[parts[1]]
	if !ok {
		return time.Time{}, fmt.Errorf("%w by an unknown key", ErrSignature)
	}
	if !hmac.Equal(mac, sum(key, gid, parts[2])) {
		return time.Time{}, fmt.Errorf("%w does not match", ErrSignature)
	}
	ms, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w malformed", ErrSignature)
	}
	start := time.UnixMilli(ms)
	if start.After(now.Add(maxSkew)) {
		return time.Time{}, fmt.Errorf("%w is from the future: check the clocks", ErrSignature)
	}
	return start, nil
}

func sum(key []byte, gid, ms string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(signatureVersion + "\x00" + gid + "\x00" + ms))
	return h.Sum(nil)
}
