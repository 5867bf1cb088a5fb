package serve

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// listening is a listener at an address.
type listening struct {
	net.Listener
	ip string
}

func (a listening) Addr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(a.ip), Port: 7403} }

// Profiles are served where this is true: nobody but this machine may see them unasked.
func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{"127.0.0.1": true, "127.8.9.1": true, "::1": true, "0.0.0.0": false, "::": false, "10.0.0.1": false} {
		require.Equal(t, want, isLoopback(listening{ip: ip}), ip)
	}
}

func TestValidateTarget(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"h:1", "h:1,i:2", "[::1]:7402,127.0.0.1:7402", "dns:///account.shop.svc:7402"} {
		require.NoError(t, validateTarget(good), good)
	}
	for _, bad := range []string{"", "h", "h:", ":1", "h:1,", ",h:1", "h:1,i", "h:99999"} {
		require.Error(t, validateTarget(bad), bad)
	}
}
