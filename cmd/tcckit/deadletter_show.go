package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/messaging/inbox"
)

func newDeadLetterShowCommand() *cobra.Command {
	var (
		dsn, consumer string
		asJSON        bool
	)
	cmd := &cobra.Command{
		Use:   "show ID --consumer NAME",
		Short: "Show one message with its payload, its metadata and the reason",
		Long: `show shows a message of a consumer's inbox: what became of it and why, its metadata and its payload. Payloads
that are JSON are indented, other text is printed as it is, and the rest as a dump. A message that is DONE is kept
without its payload.

As JSON the payload is in payload_base64, and if it is JSON itself also in payload.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one id")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if consumer == "" {
				return usagef("--consumer is missing: `tcckit deadletter list` lists ids and their consumers")
			}
			db, err := openInbox(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			row, err := inbox.Get(cmd.Context(), db.DB, db.dialect, consumer, args[0])
			if errors.Is(err, inbox.ErrNotFound) {
				return errUnknownMessage(consumer, args[0])
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printShownJSON(cmd.OutOrStdout(), row)
			}
			return printShown(cmd.OutOrStdout(), row)
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", dbUsage)
	cmd.Flags().StringVar(&consumer, "consumer", "", "whose message (required)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func printShown(out io.Writer, r inbox.Row) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	tries := fmt.Sprint(r.Tries)
	if r.Excused > 0 {
		tries += fmt.Sprintf(", of which %d do not count: what it needs was away", r.Excused)
	}
	for _, line := range [][2]string{
		{"consumer", r.Consumer},
		{"id", r.MessageID},
		{"topic", oneLine(r.Topic)},
		{"state", r.State.String()},
		{"reason", oneLine(r.LastError)},
		{"tries", tries},
		{"received", localTime(r.Received)},
		{"failed first", localTime(r.Parked)},
		{"changed last", localTime(r.Updated)},
		{dueMeans(r.State), localTime(r.Due)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	for i, name := range slices.Sorted(maps.Keys(r.Metadata)) {
		head := "metadata"
		if i > 0 {
			head = ""
		}
		fmt.Fprintf(w, "%s\t%s = %s\n", head, oneLine(name), oneLine(r.Metadata[name]))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.State == inbox.Done {
		_, err := fmt.Fprintln(out, "It is done, so its payload is not kept.")
		return err
	}
	_, err := fmt.Fprintf(out, "payload, %d bytes:\n%s\n", len(r.Payload), strings.TrimRight(readable(r.Payload), "\n"))
	return err
}

// dueMeans says what the time is at which a message is due.
func dueMeans(s inbox.State) string {
	switch s {
	case inbox.Parked:
		return "tried again"
	case inbox.Done:
		return "deleted"
	default:
		return "sent on" // to the dead-letter topic
	}
}

// readable is a payload for people.
func readable(payload []byte) string {
	var indented bytes.Buffer
	if json.Indent(&indented, payload, "", "  ") == nil {
		return indented.String()
	}
	if utf8.Valid(payload) && bytes.IndexFunc(payload, unprintable) < 0 {
		return string(payload)
	}
	return hex.Dump(payload)
}

// unprintable is what must not reach a terminal.
func unprintable(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

func printShownJSON(out io.Writer, r inbox.Row) error {
	shown := struct {
		deadLetter
		Metadata map[string]string `json:"metadata"`
		Base64   []byte            `json:"payload_base64"`
		Payload  json.RawMessage   `json:"payload,omitempty"`
	}{deadLetter: newDeadLetter(r), Metadata: r.Metadata, Base64: r.Payload}
	if json.Valid(r.Payload) {
		shown.Payload = r.Payload
	}
	return printJSON(out, shown)
}
