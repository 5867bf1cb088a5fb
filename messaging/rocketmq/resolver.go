package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookupTimeout bounds one look into DNS.
const lookupTimeout = 5 * time.Second

// resolver finds the name servers. The client refuses host names ("IP addr
// error") and, unless it is given a resolver, asks a host in the internet.
type resolver struct {
	addrs []string // host:port
	log   *slog.Logger

	mu   sync.Mutex
	last map[string][]string // what DNS said of each
}

func newResolver(addrs []string, log *slog.Logger) *resolver {
	return &resolver{addrs: slices.Clone(addrs), log: log, last: map[string][]string{}}
}

// lookup returns the name servers as ip:port, sorted. What DNS does not know
// just now stays as it was.
func (r *resolver) lookup(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	var failed error
	for _, addr := range r.addrs {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		found, err := hosts(ctx, host)
		if err != nil {
			failed = fmt.Errorf("name server %s: %w", addr, err)
			r.log.WarnContext(ctx, "rocketmq: the name server's name is not known to DNS just now", "name_server", addr, "error", err)
		} else {
			r.last[addr] = nil
			for _, ip := range found {
				r.last[addr] = append(r.last[addr], net.JoinHostPort(ip, port))
			}
		}
		all = append(all, r.last[addr]...)
	}
	if len(all) == 0 {
		return nil, failed
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// hosts prefers IPv4, which is what the client reads well.
func hosts(ctx context.Context, host string) ([]string, error) {
	if net.ParseIP(host) != nil {
		return []string{host}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var v4, v6 []string
	for _, ip := range found {
		if ip = ip.Unmap(); ip.Is4() {
			v4 = append(v4, ip.String())
		} else {
			v6 = append(v6, ip.String())
		}
	}
	if len(v4) > 0 {
		return v4, nil
	}
	return v6, nil
}

// Resolve is called by the client when it begins, and every two minutes.
func (r *resolver) Resolve() []string {
	addrs, err := r.lookup(context.Background())
	if err != nil {
		return nil
	}
	return addrs
}

// Description names the resolver in the client's errors.
func (r *resolver) Description() string { return strings.Join(r.addrs, ", ") }
