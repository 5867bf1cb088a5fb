package certs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// defaultRecheck is how often the files are looked at, at most.
const defaultRecheck = time.Second

// Config configures [Open].
type Config struct {
	Files
	// Logger is told when the files have changed, and when what they hold
	// now cannot be used. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// Source is a set of PEM files in use. It looks at them at a handshake, if the
// last look is a second ago, and so has nothing to close. A new set counts as a
// whole: while a part of it is missing, or does not belong to the others, the
// last good one stays in use and an error is logged. It is safe for concurrent
// use.
//
// (grpc's own certprovider/pemfile logs the private key when it does not match,
// and takes a CA that did not sign the certificate.)
type Source struct {
	cfg       Config
	recheck   time.Duration
	telemetry *telemetry

	mu     sync.Mutex
	now    *set
	looked time.Time
	failed string // why the files could not be used at the last look
	// had are all certificates that were in use since the start: connections
	// that stand still show the older ones.
	had map[[sha256.Size]byte]struct{}
}

// Open reads the files. Its error says which of them is at fault and what to do.
func Open(cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	now := time.Now()
	first, err := cfg.load(now)
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, recheck: defaultRecheck, now: first, looked: now, had: map[[sha256.Size]byte]struct{}{fingerprint(first.own.Leaf): {}}}
	if s.telemetry, err = newTelemetry(cfg.MeterProvider, s); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return s, nil
}

// Identities are the names in the certificate that is in use.
func (s *Source) Identities() []string { return identities(s.current().own.Leaf) }

// Own reports whether a certificate is, or was since the start, this source's.
func (s *Source) Own(c *x509.Certificate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.had[fingerprint(c)]
	return ok
}

// current is the set for a handshake that begins now.
func (s *Source) current() *set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.looked) >= s.recheck {
		s.looked = now
		s.look(now)
	}
	return s.now
}

// look takes what the files hold now, if it can be used.
func (s *Source) look(now time.Time) {
	next, err := s.read(now)
	switch {
	case err != nil:
		s.telemetry.failed()
		if err.Error() != s.failed { // not every second
			s.cfg.Logger.Error("the TLS files cannot be used as they are now, the last good ones stay in use", "error", err)
		}
		s.failed = err.Error()
		return
	case next != nil:
		s.now = next
		s.had[fingerprint(next.own.Leaf)] = struct{}{}
		s.cfg.Logger.Info("the TLS files were replaced, new connections use them",
			"identities", identities(next.own.Leaf), "not_after", next.own.Leaf.NotAfter.UTC())
	case s.failed != "":
		s.cfg.Logger.Info("the TLS files are again those in use")
	}
	s.failed = ""
}

// read returns the set that the files hold now, nil if it is the one in use.
func (s *Source) read(now time.Time) (*set, error) {
	c, err := s.cfg.read()
	if err != nil || c.equal(s.now.contents) {
		return nil, err
	}
	return parse(s.cfg.Files, c, now)
}

// handshakeFailed tells of what only the other side would be told otherwise.
func (s *Source) handshakeFailed(side, remote string, err error) {
	s.telemetry.handshakeFailed(side)
	s.cfg.Logger.LogAttrs(context.Background(), slog.LevelDebug, "TLS handshake failed",
		slog.String("side", side), slog.String("remote", remote), slog.Any("error", err))
}
