// Package htpasswd checks passwords against a file of lines user:hash, as Apache's htpasswd writes them with -B.
// Only bcrypt's hashes are taken. The file is read again when it changes.
package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tcckit/tcckit/cmd/dtm-server/reload"
)

// maxCost bounds what one check may cost: at 15 it is about two seconds.
const maxCost = 15

// users are the hashes by user name.
type users map[string][]byte

// File is a password file. Its methods may be called concurrently.
type File struct {
	users *reload.Value[users]
	guard *guard
}

// Open reads a file with at least one user. Later failures to read it again are given to report.
func Open(path string, report func(error)) (*File, error) { return open(path, reload.Interval, report) }

func open(path string, every time.Duration, report func(error)) (*File, error) {
	parse := func(contents [][]byte) (users, error) {
		u, err := parse(contents[0])
		if err != nil {
			return nil, fmt.Errorf("password file %s: %w", path, err)
		}
		return u, nil
	}
	value, err := reload.Open(every, parse, report, path)
	if err != nil {
		return nil, err
	}
	return &File{users: value, guard: newGuard()}, nil
}

// parse never shows a line in an error, for it may hold a password.
func parse(content []byte) (users, error) {
	all := make(users)
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		user, hash, found := strings.Cut(text, ":")
		if !found || user == "" {
			return nil, fmt.Errorf("line %d is not user:hash", number)
		}
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil {
			return nil, fmt.Errorf("line %d: the hash of %q is none of bcrypt's; make it by `htpasswd -nB %s`", number, user, user)
		}
		if cost > maxCost {
			return nil, fmt.Errorf("line %d: the hash of %q has cost %d, more than %d, and would take seconds to check", number, user, cost, maxCost)
		}
		if _, twice := all[user]; twice {
			return nil, fmt.Errorf("line %d: user %q is there already", number, user)
		}
		all[user] = slices.Clone([]byte(hash))
	}
	if len(all) == 0 {
		return nil, errors.New("there is no user in it; add one by `htpasswd -B FILE USER`")
	}
	return all, nil
}

// Line returns the line for a user with a password, for who has no htpasswd.
func Line(user, password string) (string, error) {
	if user == "" || strings.ContainsAny(user, ":#\r\n") || strings.TrimSpace(user) != user {
		return "", fmt.Errorf("%q is no user name here: it has a colon, a # or space at its ends, or is empty", user)
	}
	if password == "" {
		return "", errors.New("the password is empty")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", err
	}
	return user + ":" + string(hash), nil
}
