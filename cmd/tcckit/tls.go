package main

import (
	"log/slog"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/cmd/tcckit/internal/serve"
	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/rpc"
)

// tlsFlags are the files of mutual TLS, for every command that calls somebody. Where none is given, nobody is
// called by TLS.
type tlsFlags struct{ files certs.Files }

func (f *tlsFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.files.Cert, "tls-cert", "", "PEM file of this process's certificate and those between it and the CA, for mutual TLS; it is read again when it changes, as the other two")
	flags.StringVar(&f.files.Key, "tls-key", "", "PEM file of its private key")
	flags.StringVar(&f.files.CA, "tls-ca", "", "PEM file of the CAs that are believed, and no others")
}

// open reads the files. It returns nil if none is given.
func (f *tlsFlags) open(log *slog.Logger) (*certs.Source, error) {
	if !f.files.Given() {
		return nil, nil //nolint:nilnil // that is no error here
	}
	if f.files.Validate() != nil {
		return nil, usagef("--tls-cert, --tls-key and --tls-ca belong together: give all three or none")
	}
	source, err := certs.Open(certs.Config{Files: f.files, Logger: log})
	if err != nil {
		return nil, usageError{err}
	}
	return source, nil
}

// connect returns a connection to target, by TLS if there is a source.
func connect(target string, source *certs.Source) (*grpc.ClientConn, error) {
	var cfg rpc.DialConfig
	if source != nil {
		cfg.Credentials = source.Client()
	}
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return conn, nil
}

// serveTLSFlags are those of serve, which is also called by TLS.
type serveTLSFlags struct {
	tlsFlags
	initiators, coordinators []string
	publicPlaintext          bool
}

func (f *serveTLSFlags) register(flags *pflag.FlagSet) {
	f.tlsFlags.register(flags)
	flags.StringSliceVar(&f.initiators, tlsInitiators, nil, "with TLS: whose certificates may call Try (default order)")
	flags.StringSliceVar(&f.coordinators, tlsCoordinators, nil, "with TLS: whose certificates may call Confirm and Cancel (default dtm)")
	flags.BoolVar(&f.publicPlaintext, "public-plaintext", false, "with TLS: serve the public address without, behind a gateway or mesh that ends TLS")
}

const (
	tlsInitiators   = "tls-initiators"
	tlsCoordinators = "tls-coordinators"
)

// of takes an empty list that was given for what it says: nobody.
func (f *serveTLSFlags) of(flags *pflag.FlagSet) serve.TLS {
	t := serve.TLS{Files: f.files, PublicPlaintext: f.publicPlaintext}
	if flags.Changed(tlsInitiators) {
		t.Initiators = append([]string{}, f.initiators...)
	}
	if flags.Changed(tlsCoordinators) {
		t.Coordinators = append([]string{}, f.coordinators...)
	}
	return t
}
