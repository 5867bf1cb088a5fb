// Package keys reads the signing keys of a process: from a file or the environment, never from a command
// line, which every user of the machine can read.
package keys

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tcckit/tcckit/tcc"
)

// Environment is the variable that holds keys: ID:KEY, several separated by commas or white space.
const Environment = "TCCKIT_KEYS"

// Load reads the keys of the file at path, or if path is empty those of the environment. It returns nil
// if neither is given.
//
// A file has a key per line, ID:KEY; empty lines and those that begin with # do not count. The key is in
// hex if it has only hex digits, otherwise in base64. The first key signs, all verify: to rotate, add the
// new key at the end everywhere, then move it to the front, then remove the old one a day later.
func Load(path string) (*tcc.Keyring, error) {
	if path == "" {
		text := os.Getenv(Environment)
		if strings.TrimSpace(text) == "" {
			return nil, nil //nolint:nilnil // no keys are given, and that is no error here
		}
		entries := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })
		ring, err := parse(entries)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", Environment, err)
		}
		return ring, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var entries []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			entries = append(entries, line)
		}
	}
	ring, err := parse(entries)
	if err != nil {
		return nil, fmt.Errorf("keys in %s: %w", path, err)
	}
	return ring, nil
}

// parse never puts a key, or what might be one, into an error.
func parse(entries []string) (*tcc.Keyring, error) {
	if len(entries) == 0 {
		return nil, errors.New("there is no key: want ID:KEY")
	}
	signing, ring := "", make(map[string][]byte, len(entries))
	for i, entry := range entries {
		id, encoded, found := strings.Cut(entry, ":")
		if !found {
			return nil, fmt.Errorf("entry %d has no colon: want ID:KEY", i+1)
		}
		if _, twice := ring[id]; twice {
			return nil, fmt.Errorf("entry %d has the id of one before", i+1)
		}
		key, err := decode(strings.TrimSpace(encoded))
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if signing == "" {
			signing = id
		}
		ring[id] = key
	}
	return tcc.NewKeyring(signing, ring)
}

func decode(s string) ([]byte, error) {
	if key, err := hex.DecodeString(s); err == nil {
		return key, nil
	}
	unpadded := strings.TrimRight(s, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(unpadded); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("the key is neither hex nor base64")
}
