package dtmserver_test

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
)

// DTM authenticates nobody, so where it listens is what protects it.
func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	server := start(t, ours(), dtmserver.Bolt())
	var addrs []string
	for _, addr := range listening(t, server.PID()) {
		require.True(t, addr.IP.IsLoopback(), "listens on %s", addr)
		addrs = append(addrs, addr.String())
	}
	slices.Sort(addrs)
	want := []string{strings.TrimPrefix(server.HTTPURL(), "http://"), server.GRPCAddr()}
	slices.Sort(want)
	require.Equal(t, want, addrs)
}

// The same look at the stock build finds what the patch is for, so the look sees all.
func TestStockListensOnAllInterfaces(t *testing.T) {
	t.Parallel()
	server := start(t, stock(), dtmserver.Bolt())
	addrs := listening(t, server.PID())
	require.Len(t, addrs, 2)
	for _, addr := range addrs {
		require.True(t, addr.IP.IsUnspecified(), "listens on %s", addr)
	}
}

// listening returns the addresses of all TCP sockets on which a process listens.
func listening(t *testing.T, pid int) []*net.TCPAddr {
	t.Helper()
	inodes := map[string]bool{}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, fd := range fds {
		target, err := os.Readlink(dir + "/" + fd.Name())
		if inode, isSocket := strings.CutPrefix(target, "socket:["); err == nil && isSocket {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var addrs []*net.TCPAddr
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		require.NoError(t, err)
		for line := range strings.Lines(string(content)) {
			// sl local_address rem_address st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == "0A" && inodes[fields[9]] {
				addrs = append(addrs, parseAddr(t, fields[1]))
			}
		}
	}
	return addrs
}

// parseAddr reads an address as /proc/net/tcp has it: 32-bit words in this machine's byte order, in hex.
func parseAddr(t *testing.T, s string) *net.TCPAddr {
	t.Helper()
	address, port, found := strings.Cut(s, ":")
	require.True(t, found, s)
	ip, err := hex.DecodeString(address)
	require.NoError(t, err)
	for word := range slices.Chunk(ip, 4) { // little-endian on all that the tests run on
		slices.Reverse(word)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	require.NoError(t, err)
	return &net.TCPAddr{IP: ip, Port: int(n)}
}
