package certs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// Files are the paths of a set of PEM files.
type Files struct {
	// Cert holds the certificate, followed by those between it and the CA.
	// Key holds its private key, without a passphrase. CA holds the
	// certificates of all authorities that are believed: while a CA is
	// replaced, the old and the new one.
	Cert, Key, CA string
}

// Given reports whether any of the paths is.
func (f Files) Given() bool { return f != Files{} }

// Validate wants all of the paths.
func (f Files) Validate() error {
	if f.Cert == "" || f.Key == "" || f.CA == "" {
		return errors.New("certificate, key and CA belong together: give the paths of all three, or of none")
	}
	return nil
}

// contents are what the files held.
type contents struct{ cert, key, ca []byte }

func (c *contents) equal(other *contents) bool {
	return bytes.Equal(c.cert, other.cert) && bytes.Equal(c.key, other.key) && bytes.Equal(c.ca, other.ca)
}

// read reads all files, or fails. While they are being replaced they may not
// belong together.
func (f Files) read() (*contents, error) {
	var c contents
	var errs []error
	for _, one := range []struct {
		path string
		to   *[]byte
	}{{f.Cert, &c.cert}, {f.Key, &c.key}, {f.CA, &c.ca}} {
		var err error
		if *one.to, err = os.ReadFile(one.path); err != nil {
			errs = append(errs, fmt.Errorf("certs: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &c, nil
}

// Check reads the files and says, as [Open] does, what is wrong with them.
func Check(f Files) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	_, err := f.load(time.Now())
	return err
}

// load reads a whole set.
func (f Files) load(now time.Time) (*set, error) {
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	return parse(f, c, now)
}
