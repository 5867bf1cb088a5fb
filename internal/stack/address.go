package stack

import (
	"context"
	"net"
	"strconv"

	"github.com/tcckit/tcckit/internal/freeport"
)

// Addresses are where a service listens, host:port each.
type Addresses struct {
	// Public serves what anybody may call; Internal the branches and what changes accounts and stock;
	// Admin metrics, health and profiles, by HTTP.
	Public, Internal, Admin string
}

// wellKnown are the first of three ports for each service.
func wellKnown(service string) int {
	switch service {
	case Order:
		return 7401
	case Account:
		return 7411
	default:
		return 7421
	}
}

const (
	// The well-known ports of DTM.
	dtmHTTPPort = 36789
	dtmGRPCPort = 36790

	// guardPort is listened on by the one stack that may use the well-known ports: between looking whether
	// a port is free and the moment when a child listens there, nobody else must take it.
	guardPort = 7400
)

// guard returns the listener of the stack that may use the well-known ports, nil if there is one already.
func guard(ctx context.Context) net.Listener {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", loopback(guardPort))
	if err != nil {
		return nil
	}
	return l
}

func chooseAddresses(ctx context.Context, service string, fixed bool) (Addresses, error) {
	var a Addresses
	for i, addr := range []*string{&a.Public, &a.Internal, &a.Admin} {
		var err error
		if *addr, err = chooseAddress(ctx, wellKnown(service)+i, fixed); err != nil {
			return a, err
		}
	}
	return a, nil
}

// chooseAddress returns a loopback address on which nothing listens: with the wanted port if it may and
// can be.
func chooseAddress(ctx context.Context, wanted int, fixed bool) (string, error) {
	if fixed {
		addr := loopback(wanted)
		var config net.ListenConfig
		if l, err := config.Listen(ctx, "tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	port, err := freeport.Loopback()
	return loopback(port), err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
