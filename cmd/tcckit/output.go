package main

import (
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode"
)

// printJSON prints a value for scripts.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// oneLine is a text for a cell of a table. What services and brokers say may have lines, and what steers a
// terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// localTime is a time for people, "-" if there is none.
func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}
