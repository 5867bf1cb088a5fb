package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
)

// tlsSettings say with what certificate the server shows itself and whom it serves.
type tlsSettings struct {
	files        certs.Files // all of them or none
	clients      certs.Callers
	participants bool // calls to participants go by TLS, too
}

func loadTLS() (tlsSettings, error) {
	var s tlsSettings
	files := &s.files
	for name, path := range map[string]*string{"TLS_CERT": &files.Cert, "TLS_KEY": &files.Key, "TLS_CA": &files.CA} {
		var err error
		if *path, err = envPath(name); err != nil {
			return s, err
		}
	}
	if s.on() && (files.Cert == "" || files.Key == "" || files.CA == "") {
		return s, errors.New("TLS_CERT, TLS_KEY and TLS_CA: give all three or none")
	}
	for name := range strings.SplitSeq(os.Getenv("TLS_CLIENTS"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.clients.Names = append(s.clients.Names, name)
		}
	}
	if len(s.clients.Names) > 0 && !s.on() {
		return s, errors.New("TLS_CLIENTS: who calls is known by TLS alone; give TLS_CERT, TLS_KEY and TLS_CA")
	}
	if os.Getenv("TLS_CLIENTS") != "" && len(s.clients.Names) == 0 {
		return s, fmt.Errorf("TLS_CLIENTS=%s: names nobody", os.Getenv("TLS_CLIENTS"))
	}
	var err error
	if s.participants, err = envSwitch("PARTICIPANT_TLS", s.on()); err != nil {
		return s, err
	}
	if s.participants && !s.on() {
		return s, errors.New("PARTICIPANT_TLS=on: give TLS_CERT, TLS_KEY and TLS_CA")
	}
	return s, nil
}

func (s tlsSettings) on() bool { return s.files != certs.Files{} }

// open reads the certificate; nil: there is none.
func (s tlsSettings) open() (*certs.Identity, error) {
	if !s.on() {
		return nil, nil //nolint:nilnil // no TLS is an answer
	}
	return certs.Open(s.files, func(err error) { warn("TLS", err) })
}

// measureTLS has metrics say what those of tcckit's services do, by the same names: one alert is for all.
func measureTLS(registry prometheus.Registerer, identity *certs.Identity) error {
	return errors.Join(
		registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tcckit_tls_certificate_not_after_seconds", Help: "When the certificate in use expires, in seconds since 1970.",
		}, func() float64 { return float64(identity.NotAfter().Unix()) })),
		registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tcckit_tls_reload_failures_total", Help: "Looks at the TLS files that found them changed to something that cannot be used.",
		}, func() float64 { return float64(identity.Failed()) })),
	)
}

// GRPCOptions implements hook.Host.
func (h *host) GRPCOptions(options ...grpc.ServerOption) []grpc.ServerOption {
	if h.identity == nil {
		return options
	}
	callers := h.callers()
	return append([]grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(h.identity.Server(true, "h2"))),
		grpc.ChainUnaryInterceptor(callers.Unary), grpc.ChainStreamInterceptor(callers.Stream),
	}, options...)
}

func (h *host) callers() certs.Callers {
	callers, told := h.settings.tls.clients, &seldom{every: time.Second}
	callers.Report = func(err error) { told.warn("TLS_CLIENTS", err) }
	return callers
}

// secureAPI returns the handler of the HTTP API for those who may call, and the listener's TLS, nil for none.
func (h *host) secureAPI(api http.Handler) (http.Handler, *tls.Config) {
	if h.identity == nil {
		return api, nil
	}
	return h.callers().HTTP(api), h.identity.Server(true, "h2", "http/1.1")
}
