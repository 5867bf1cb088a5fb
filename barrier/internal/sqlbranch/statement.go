package sqlbranch

import (
	"errors"
	"fmt"
	"strings"
)

// errRefused is wrapped by every error for a statement that must not run
// inside a branch.
var errRefused = errors.New("barrier: statement refused")

// mayRun reports whether work may run a statement that begins with word. What
// it lets through is known to stay inside the transaction: DDL commits it, SET
// and LOCK TABLES escape it, CALL can do either. It is also asked about a
// RETURNING further on.
func mayRun(word string) bool {
	switch word {
	case "SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "DESCRIBE", "SHOW", returning:
		return true
	}
	return mayQueue(word)
}

// mayQueue reports whether work may queue a statement that begins with word:
// one that counts rows. One that returns them instead (RETURNING) counts as if
// it had done nothing.
func mayQueue(word string) bool {
	switch word {
	case "INSERT", "UPDATE", "DELETE", "REPLACE":
		return true
	}
	return false
}

const returning = "RETURNING"

// mayRead reports whether Otherwise may run a statement that begins with word.
// (WITH can also begin a change; what Otherwise changes is rolled back.)
func mayRead(word string) bool { return mayRun(word) && !mayQueue(word) }

// Syntax is how a database writes strings and comments.
type Syntax uint8

// The syntaxes.
const (
	// MySQL has backslashes in strings, and comments that begin with #.
	MySQL Syntax = iota + 1
	// SQLite has neither, and names in square brackets.
	SQLite
)

// checkStatement refuses everything but one statement whose first word may. It
// is a guard against mistakes, not against somebody who writes SQL to harm.
// It returns the statement without what comes behind it: semicolons, comments
// and space.
func (syntax Syntax) checkStatement(query string, may func(word string) bool) (string, error) {
	text, _, err := syntax.readStatement(query, may)
	return text, err
}

// readStatement is checkStatement, and reports whether the statement refers to
// the one before it on its connection.
func (syntax Syntax) readStatement(query string, may func(word string) bool) (text string, refers bool, err error) {
	s := scanner{text: query, syntax: syntax}
	word := s.firstWord()
	switch {
	case s.err != nil:
		return "", false, fmt.Errorf("%w: %w", errRefused, s.err)
	case word == "":
		return "", false, fmt.Errorf("%w: it is empty", errRefused)
	case !may(word):
		return "", false, fmt.Errorf("%w: %s may not run here", errRefused, word)
	}
	end, err := s.end()
	if err != nil {
		return "", false, fmt.Errorf("%w: %w", errRefused, err)
	}
	if s.returning && !may(returning) {
		return "", false, fmt.Errorf("%w: %s may not run here; if it is a name, quote it", errRefused, returning)
	}
	return query[:end], s.refers, nil
}

// scanner reads SQL just well enough to tell words, strings and comments
// apart.
type scanner struct {
	syntax Syntax
	text   string
	pos    int
	err    error
	// returning says that end has met the word, and refers one that refers to
	// the statement before, or a variable.
	returning, refers bool
}

var (
	errExecutableComment = errors.New("executable comments are not allowed")
	errUnterminated      = errors.New("a string or comment does not end")
	errSeveral           = errors.New("it holds more than one statement")
)

// firstWord skips space, comments and opening parentheses and returns the
// word after them in capitals.
func (s *scanner) firstWord() string {
	for s.pos < len(s.text) && s.err == nil {
		if s.text[s.pos] == '(' {
			s.pos++
			continue
		}
		if !s.skipBlank() {
			break
		}
	}
	return s.word()
}

// word reads a word, if there is one, and returns it in capitals.
func (s *scanner) word() string {
	start := s.pos
	for s.pos < len(s.text) && isWordByte(s.text[s.pos]) {
		s.pos++
	}
	return strings.ToUpper(s.text[start:s.pos])
}

// end reads on and returns where the statement ends. It refuses anything but
// blanks after a semicolon.
func (s *scanner) end() (int, error) {
	end, ended := s.pos, false
	for s.pos < len(s.text) {
		if s.skipBlank() {
			continue
		}
		if s.err != nil {
			break
		}
		c := s.text[s.pos]
		switch {
		case ended && c != ';':
			return 0, errSeveral
		case c == ';':
			ended = true
			s.pos++
			continue
		case c == '\'' || c == '"' || c == '`':
			s.skipQuoted(c)
		case c == '[' && s.syntax == SQLite:
			s.skipQuoted(']')
		case isWordByte(c):
			s.note(s.word())
		default:
			s.refers = s.refers || c == '@'
			s.pos++
		}
		if s.err != nil {
			break
		}
		end = s.pos
	}
	return end, s.err
}

func (s *scanner) note(word string) {
	switch word {
	case returning:
		s.returning = true
	case "LAST_INSERT_ID", "ROW_COUNT", "FOUND_ROWS", "LAST_INSERT_ROWID", "CHANGES":
		s.refers = true
	}
}

// skipBlank skips one space or comment and reports whether there was one.
func (s *scanner) skipBlank() bool {
	rest := s.text[s.pos:]
	switch {
	case rest == "":
		return false
	case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
		s.pos++
		return true
	case rest[0] == '#' && s.syntax == MySQL, strings.HasPrefix(rest, "--") && (s.syntax == SQLite || len(rest) == 2 || rest[2] <= ' '):
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			end = len(rest) - 1
		}
		s.pos += end + 1
		return true
	case strings.HasPrefix(rest, "/*"):
		if strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!") {
			s.err = errExecutableComment
			return false
		}
		end := strings.Index(rest[2:], "*/")
		if end < 0 {
			s.err = errUnterminated
			return false
		}
		s.pos += 2 + end + 2
		return true
	}
	return false
}

// skipQuoted skips a string or quoted name that begins at pos. A doubled quote
// inside reads as two strings, which comes to the same.
func (s *scanner) skipQuoted(quote byte) {
	for i := s.pos + 1; i < len(s.text); i++ {
		switch {
		case s.text[i] == '\\' && quote != '`' && s.syntax == MySQL:
			i++
		case s.text[i] == quote:
			s.pos = i + 1
			return
		}
	}
	s.err = errUnterminated
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= '0' && c <= '9'
}
