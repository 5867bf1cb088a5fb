package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// listeners are where the process is reached.
type listeners struct {
	public, internal, admin, health net.Listener // admin and health are nil if there are none
}

func (l *listeners) close() error {
	var errs []error
	for _, one := range []net.Listener{l.public, l.internal, l.admin, l.health} {
		if one == nil {
			continue
		}
		if err := one.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// listen opens all listeners, or none.
func listen(ctx context.Context, cfg Config) (*listeners, error) {
	if cfg.Keys == nil && !cfg.TLS.Given() && !cfg.Insecure {
		for _, addr := range []string{cfg.Public, cfg.Internal} {
			if err := requireLoopback(ctx, addr); err != nil {
				return nil, err
			}
		}
	}
	l := &listeners{}
	for _, one := range []struct {
		what, addr string
		to         *net.Listener
		optional   bool
	}{
		{"public API", cfg.Public, &l.public, false},
		{"internal API", cfg.Internal, &l.internal, false},
		{"admin listener", cfg.Admin, &l.admin, true},
		{"health listener", cfg.Health, &l.health, true},
	} {
		if one.addr == "" && one.optional {
			continue
		}
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", one.addr)
		if err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				err = fmt.Errorf("the address is taken, choose another or end what listens there: %w", err)
			}
			return nil, errors.Join(fmt.Errorf("%s on %q: %w", one.what, one.addr, err), l.close())
		}
		*one.to = listener
	}
	return l, nil
}

// errOpen says why a process refuses to serve the network.
var errOpen = errors.New("whoever reaches this address could make orders and confirm them: give certificates (--tls-cert, --tls-key, --tls-ca), " +
	"or at least signing keys (--keys-file or TCCKIT_KEYS), listen on 127.0.0.1, or say --insecure if the network lets nobody else in")

// requireLoopback returns errOpen if others than this machine may reach the address.
func requireLoopback(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen on %q: want host:port: %w", addr, err)
	}
	if host == "" {
		return fmt.Errorf("listen on %s, that is on all interfaces: %w", addr, errOpen)
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	for _, ip := range ips {
		if !ip.IP.IsLoopback() {
			return fmt.Errorf("listen on %s: %w", addr, errOpen)
		}
	}
	return nil
}

// validateAddress wants host:port.
func validateAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q: want host:port", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
		return fmt.Errorf("%q: want host:port with a port from 1 to 65535", addr)
	}
	return nil
}

// validateTarget wants what Participant.Addr says.
func validateTarget(target string) error {
	if strings.Contains(target, "://") {
		return nil // gRPC's own forms, which it checks itself
	}
	for addr := range strings.SplitSeq(target, ",") {
		if err := validateAddress(addr); err != nil {
			return err
		}
	}
	return nil
}

// isLoopback tells whether only this machine reaches a listener.
func isLoopback(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// reachable is the address at which another process on this machine reaches a listener, and false if the
// listener is on all interfaces, so that others cannot be told a name.
func reachable(l net.Listener) (string, bool) {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return l.Addr().String(), true
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port)), false
}
