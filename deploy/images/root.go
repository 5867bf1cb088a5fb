package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// An entry is a file or, with a name that ends in a slash, a folder of an image's root.
type entry struct {
	name    string // without a slash at the front
	mode    int64
	owner   int // user and group
	content []byte
	file    string // where the content is, if not in content
}

// root is everything in an image's file system, parents before what is in them. Nothing in it is from the machine
// that builds: the certificates come with a Go module, whose hash is pinned.
func root(p program, binary string) []entry {
	entries := []entry{
		{name: p.name, mode: 0o755, file: binary},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", user)},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/:/sbin/nologin\n", user, user)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: certificates()},
	}
	if p.data != "" {
		entries = append(entries, entry{name: strings.TrimPrefix(p.data, "/") + "/", mode: 0o700, owner: user})
	}
	return entries
}

// certificates are those of Mozilla's certificate authorities, in PEM, without those that Mozilla trusts for some
// purposes or times only: a PEM file cannot say so.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes all
		}
	}
	return out.Bytes()
}

// layer is the root as a tar file.
func layer(entries []entry, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		content, err := e.read()
		if err != nil {
			return nil, err
		}
		header := &tar.Header{
			Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, Size: int64(len(content)), ModTime: at, Typeflag: tar.TypeReg,
			Format: tar.FormatPAX,
		}
		if e.isFolder() {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		if _, err := w.Write(content); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return out.Bytes(), w.Close()
}

// layOut writes the root to a folder, which must not exist, for a Dockerfile to copy; the folders that belong to
// the image's user only if this process may give them away.
func layOut(entries []entry, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		to := filepath.Join(dir, filepath.FromSlash(path.Clean(e.name)))
		if e.isFolder() {
			if err := os.Mkdir(to, os.FileMode(e.mode)); err != nil {
				return err
			}
		} else {
			content, err := e.read()
			if err == nil {
				err = os.WriteFile(to, content, os.FileMode(e.mode))
			}
			if err != nil {
				return err
			}
		}
		if err := errors.Join(os.Chmod(to, os.FileMode(e.mode)), os.Chown(to, e.owner, e.owner)); err != nil {
			return err
		}
	}
	return nil
}

func (e entry) isFolder() bool { return strings.HasSuffix(e.name, "/") }

func (e entry) read() ([]byte, error) {
	if e.file == "" {
		return e.content, nil
	}
	f, err := os.Open(e.file)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	return content, errors.Join(err, f.Close())
}
