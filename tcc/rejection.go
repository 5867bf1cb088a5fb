package tcc

import (
	"fmt"
	"maps"
	"strings"
)

// Limits of a rejection, in bytes. A rejection is stored with the barrier row
// and travels in gRPC trailers, which servers commonly limit to 8 KiB.
const (
	// MaxReasonLen is the limit of google.rpc.ErrorInfo for a reason.
	MaxReasonLen = 63
	// MaxRejectionLen limits reason, message and metadata together.
	MaxRejectionLen = 2048
)

// Rejection is a participant's business no to a Try: the stock is not there,
// the account is unknown. It is final for this branch: a Try that is
// delivered again gets the same rejection.
//
// It travels as the gRPC code Aborted with an ErrorInfo of [Domain]. Only Try
// may be rejected; in Confirm and Cancel a rejection is a bug and becomes
// Internal.
type Rejection struct {
	// Reason is a constant for programs, in UPPER_SNAKE_CASE.
	Reason string `json:"reason"`
	// Message is for people. Empty means that the reason says it all.
	Message string `json:"message,omitempty"`
	// Metadata carries the details, such as the SKU and what is left of it.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Reject returns a *[Rejection] as an error. metadata may be nil; it is
// copied.
func Reject(reason, message string, metadata map[string]string) error {
	return &Rejection{Reason: reason, Message: message, Metadata: maps.Clone(metadata)}
}

func (r *Rejection) Error() string {
	if r.Message == "" {
		return "rejected: " + r.Reason
	}
	return "rejected: " + r.Reason + ": " + r.Message
}

// Fit returns r, or a copy cut to the limits and to valid UTF-8, so that what
// is stored, what is sent and what a duplicate gets later are always the
// same. A rejection must never fail for its size: its Try would then have no
// answer. Metadata that does not fit is dropped as a whole.
func (r *Rejection) Fit() *Rejection {
	c := &Rejection{
		Reason:  cut(r.Reason, MaxReasonLen),
		Message: cut(r.Message, MaxRejectionLen/2),
	}
	if c.Reason == "" {
		c.Reason = "UNSPECIFIED"
	}
	room := MaxRejectionLen - len(c.Reason) - len(c.Message)
	for k, v := range r.Metadata {
		room -= len(k) + len(v)
		if room < 0 {
			c.Metadata = map[string]string{"metadata": fmt.Sprintf("dropped: more than %d bytes", MaxRejectionLen)}
			return c
		}
		if c.Metadata == nil {
			c.Metadata = make(map[string]string, len(r.Metadata))
		}
		c.Metadata[strings.ToValidUTF8(k, "?")] = strings.ToValidUTF8(v, "?")
	}
	return c
}

// cut returns the longest valid prefix of s of at most n bytes.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && s[n]&0xC0 == 0x80 {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "?")
}
