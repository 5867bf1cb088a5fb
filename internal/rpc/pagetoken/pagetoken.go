// Package pagetoken makes the opaque tokens with which a list goes on.
package pagetoken

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ErrBad says that a token is none that [Encode] made for this list.
var ErrBad = errors.New("the page token is not one that this list gave: send next_page_token of the page before, unchanged and with the same request, or none to begin")

// version is the first byte of a token. Another form gets another one.
const version = 1

// header is the version and a checksum, which tells a token of another list, or
// one that was cut short, from a good one. It is no protection: a token only
// says where to go on.
const header = 1 + crc32.Size

// Encode returns the token of a list that goes on after key. scope names the
// list with everything that narrows it.
func Encode(scope, key string) string {
	b := make([]byte, header, header+len(key))
	b[0] = version
	b = append(b, key...)
	binary.BigEndian.PutUint32(b[1:header], checksum(scope, b[header:]))
	return base64.RawURLEncoding.EncodeToString(b)
}

// Decode returns the key after which the list goes on, "" for the empty token,
// with which a list begins. Its error is [ErrBad].
func Decode(scope, token string) (key string, err error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= header || b[0] != version {
		return "", ErrBad
	}
	if binary.BigEndian.Uint32(b[1:header]) != checksum(scope, b[header:]) {
		return "", ErrBad
	}
	return string(b[header:]), nil
}

func checksum(scope string, key []byte) uint32 {
	h := crc32.NewIEEE()
	h.Write([]byte(scope))
	h.Write([]byte{0})
	h.Write(key)
	return h.Sum32()
}
