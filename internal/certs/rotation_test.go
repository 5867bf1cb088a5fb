package certs_test

import (
	"bytes"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/certs/certstest"
)

func discard() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) }

// A certificate is replaced on both sides, as by Kubernetes and file by file: new connections take the new
// one, and what stands lives on.
func TestNewCertificates(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	for name, files := range map[string]func(t *testing.T, names ...string) (certs.Files, func(names ...string)){
		"a volume of Kubernetes": func(t *testing.T, names ...string) (certs.Files, func(...string)) {
			v := certstest.NewVolume(t, ca.Issue(t, names...), ca)
			return v.Files(), func(names ...string) { v.Update(t, ca.Issue(t, names...), ca) }
		},
		"file by file": func(t *testing.T, names ...string) (certs.Files, func(...string)) {
			f := ca.Files(t, names...)
			return f, func(names ...string) { certstest.Write(t, f, ca.Issue(t, names...), ca) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serverFiles, replaceServer := files(t, "account")
			clientFiles, replaceClient := files(t, "order")
			client := certstest.Open(t, clientFiles).Eager()
			s := serve(t, certstest.Open(t, serverFiles).Eager().Server())
			standing := dial(t, s.addr, client.Client())
			require.NoError(t, check(t, standing))

			replaceClient("order", "new")
			eventually(t, "new connections show the new certificate", func() bool {
				require.NoError(t, check(t, dial(t, s.addr, client.Client())))
				return len(s.last()) == 2
			})
			replaceServer("account", "new")
			eventually(t, "the server shows its new certificate", func() bool {
				return check(t, dial(t, s.addr, client.Client(), withAuthority("new"))) == nil
			})
			before := s.count()
			require.NoError(t, check(t, standing))
			require.Equal(t, []string{"order"}, s.last())
			require.Equal(t, before, s.count(), "it is the connection that stood before")
		})
	}
}

// A CA is replaced in three steps, during which everybody reaches everybody; after the last one the old CA's
// certificates are refused.
func TestANewCA(t *testing.T) {
	t.Parallel()
	before, after := certstest.NewAuthority(t), certstest.NewAuthority(t)
	files := map[string]certs.Files{"account": before.Files(t, "account"), "order": before.Files(t, "order")}
	account, order := certstest.Open(t, files["account"]).Eager(), certstest.Open(t, files["order"]).Eager()
	s := serve(t, account.Server())
	call := func() error { return check(t, dial(t, s.addr, order.Client())) }
	require.NoError(t, call())
	require.Error(t, check(t, dial(t, s.addr, raw(t, before, pair(after.Issue(t, "order"))))))

	for name, f := range files {
		certstest.Replace(t, f.CA, certstest.Bundle(before, after))
		require.NoError(t, call(), name)
	}
	eventually(t, "the server believes both", func() bool {
		return check(t, dial(t, s.addr, raw(t, before, pair(after.Issue(t, "order"))))) == nil
	})
	for name, f := range files {
		certstest.Write(t, f, after.Issue(t, name), before, after)
		require.NoError(t, call(), name)
	}
	eventually(t, "the server has its certificate of the new CA", func() bool {
		return check(t, dial(t, s.addr, raw(t, after, pair(after.Issue(t, "order"))))) == nil
	})
	for name, f := range files {
		certstest.Replace(t, f.CA, certstest.Bundle(after))
		require.NoError(t, call(), name)
	}
	eventually(t, "the server believes the new one alone", func() bool {
		return check(t, dial(t, s.addr, raw(t, after, pair(before.Issue(t, "order"))))) != nil
	})
	require.NoError(t, call())
}

// What cannot be used is logged once, and what was good stays until it is replaced by something that is.
func TestBrokenReplacements(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewAuthority(t), certstest.NewAuthority(t)
	good := ca.Issue(t, "account")
	for name, test := range map[string]struct {
		destroy func(certs.Files)
		want    string
	}{
		"no certificate":         {func(f certs.Files) { require.NoError(t, os.Remove(f.Cert)) }, "tls.crt: no such file"},
		"an empty key":           {func(f certs.Files) { certstest.Replace(t, f.Key, nil) }, "tls.key holds no private key"},
		"another one's key":      {func(f certs.Files) { certstest.Replace(t, f.Key, ca.Issue(t, "order").Key) }, "is not that of the certificate"},
		"half a certificate":     {func(f certs.Files) { certstest.Replace(t, f.Cert, good.Cert[:100]) }, "tls.crt holds no certificate"},
		"a CA that did not sign": {func(f certs.Files) { certstest.Replace(t, f.CA, other.PEM()) }, "no CA in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, text := certstest.In(t.TempDir()), &buffer{}
			certstest.Write(t, files, good, ca)
			source, err := certs.Open(certs.Config{Files: files, Logger: slog.New(slog.NewTextHandler(text, nil))})
			require.NoError(t, err)
			s := serve(t, source.Eager().Server())
			call := func() bool { return check(t, dial(t, s.addr, ca.Source(t, "order").Client())) == nil }
			test.destroy(files)
			eventually(t, "it is seen", func() bool { require.True(t, call()); return text.String() != "" })
			require.Contains(t, text.String(), test.want)
			require.NotContains(t, text.String(), "PRIVATE KEY\\n", "a key is not for logs")

			certstest.Write(t, files, ca.Issue(t, "account", "mended"), ca)
			eventually(t, "the next good one is taken", func() bool {
				return check(t, dial(t, s.addr, ca.Source(t, "order").Client(), withAuthority("mended"))) == nil
			})
			require.Equal(t, 1, strings.Count(text.String(), "cannot be used"), text.String())
		})
	}
}

// A process reaches itself by connections that are older than its certificate, and by new ones.
func TestAProcessKnowsItselfAfterARotation(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	files := ca.Files(t, "account")
	self := certstest.Open(t, files).Eager()
	s := serve(t, self.Server())
	require.NoError(t, check(t, dial(t, s.addr, self.Loopback())))
	old := certificate(t, filepath.Clean(files.Cert))
	certstest.Write(t, files, ca.Issue(t, "account", "new"), ca)
	eventually(t, "the new one is in use", func() bool {
		require.NoError(t, check(t, dial(t, s.addr, self.Loopback())))
		return len(self.Identities()) == 2
	})
	require.True(t, self.Own(old))
	require.True(t, self.Own(certificate(t, files.Cert)))
	require.False(t, self.Own(certificate(t, ca.Files(t, "account").Cert)))
}

type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
