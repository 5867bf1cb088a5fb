package serve

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/credentials"

	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/rpc"
)

// TLS says with which certificate the process serves and calls, and who may call it. Without Files there is no TLS.
type TLS struct {
	certs.Files
	// Initiators are the identities that may call Try, Coordinators those that may call Confirm and Cancel. Nil
	// means the default: order, and dtm. The process itself may call all.
	Initiators, Coordinators []string
	// PublicPlaintext serves the public address without TLS, behind a gateway that ends it.
	PublicPlaintext bool
}

// The callers of branches unless told otherwise.
func (t TLS) withDefaults() TLS {
	if t.Initiators == nil {
		t.Initiators = []string{"order"}
	}
	if t.Coordinators == nil {
		t.Coordinators = []string{"dtm"}
	}
	return t
}

// validate reads the files, so that all that is wrong is said at once.
func (t TLS) validate() error {
	if !t.Given() {
		if t.Initiators != nil || t.Coordinators != nil || t.PublicPlaintext {
			return errors.New("who may call is told by certificates, and there are none: --tls-initiators, --tls-coordinators and --public-plaintext go with --tls-cert, --tls-key and --tls-ca")
		}
		return nil
	}
	errs := []error{certs.Check(t.Files)}
	for _, list := range []struct {
		flag  string
		names []string
	}{{"--tls-initiators", t.Initiators}, {"--tls-coordinators", t.Coordinators}} {
		for _, name := range list.names {
			if name == "" || strings.ContainsAny(name, " \t*") {
				errs = append(errs, fmt.Errorf("%s: %q is no identity: want a DNS name or a URI as it stands in a certificate, without wildcards", list.flag, name))
			}
		}
	}
	return errors.Join(errs...)
}

// openTLS opens the files that the process was given, if any.
func (p *process) openTLS() error {
	if !p.cfg.TLS.Given() {
		return nil
	}
	var err error
	p.tls, err = certs.Open(certs.Config{Files: p.cfg.TLS.Files, Logger: p.cfg.Logger, MeterProvider: p.telemetry.MeterProvider()})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// secureInternal has an internal server demand certificates.
func (p *process) secureInternal(server *rpc.ServerConfig) {
	if p.tls == nil {
		return
	}
	t := p.cfg.TLS.withDefaults()
	server.Credentials = p.tls.Server()
	server.Callers = &rpc.Callers{Initiators: t.Initiators, Coordinators: t.Coordinators, Own: p.tls.Own}
}

// securePublic has a public server show its certificate.
func (p *process) securePublic(server *rpc.ServerConfig) {
	if p.tls != nil && !p.cfg.TLS.PublicPlaintext {
		server.Credentials = p.tls.Public()
	}
}

// clientCredentials are for calls of others, nil without TLS.
func (p *process) clientCredentials() credentials.TransportCredentials {
	if p.tls == nil {
		return nil
	}
	return p.tls.Client()
}

// loopbackCredentials are for calls of this process itself, nil without TLS.
func (p *process) loopbackCredentials() credentials.TransportCredentials {
	if p.tls == nil {
		return nil
	}
	return p.tls.Loopback()
}
