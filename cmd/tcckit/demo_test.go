//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	temp := t.TempDir()
	c := start(t, []string{"TMPDIR=" + temp}, "demo")
	require.Equal(t, 0, c.code())
	text := c.out.String()
	for _, want := range []string{
		"An order is confirmed", "CONFIRMED after",
		"rejected by stock: INSUFFICIENT_STOCK, 3 available; balance and stock are unchanged",
		"rejected by account: INSUFFICIENT_BALANCE; balance and stock are unchanged",
		"and it is the only one",
		"200 orders are CONFIRMED",
		"DTM has durably decided to commit, and its Confirm waits at the gate",
		"the account service is gone", "the client was told:", "asked again, the client gets the same order",
		"later the cart has what was not ordered: 1 vase\n", "has what was: 3 vase, 2 bowl\n",
		"order, cart and dispatch are gone; in the order's outbox the message is NEW", "is made, once, and the message is SENT",
		"is CREDITED after", "is REFUNDED: ACCOUNT_CLOSED",
		"is CANCELLED: INSUFFICIENT_STOCK",
		"each confirmed order has one shipment",
		"no branch is left halfway", "no message waits", "no message could not be handled",
		"tcckit demo --rocketmq HOST:PORT", "make up ROCKETMQ=1",
		"All 11 steps held.",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "✗")
	require.NotContains(t, text, "\x1b", "colours are for terminals")
	require.NotContains(t, text, "\r")
	require.Empty(t, c.log.String())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left, "the temporary folder is removed")
}

// The demo on given servers leaves no database behind there.
func TestDemoOnMySQL(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	server := testserver.MySQL(t).Clone()
	server.DBName = ""
	c := start(t, []string{"TCCKIT_MYSQL=" + server.FormatDSN(), "TMPDIR=" + t.TempDir()}, "demo")
	require.Equal(t, 0, c.code())
	require.Contains(t, c.out.String(), "its own MySQL database")
	require.Contains(t, c.out.String(), "All 11 steps held.")
}

// Whatever the demo has started dies with it.
func TestDemoKilledLeavesNoProcess(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	c := start(t, []string{"TMPDIR=" + t.TempDir()}, "demo")
	var children []int
	c.eventually("all processes run", func() bool {
		children = childrenOf(c.cmd.Process.Pid)
		return strings.Contains(c.out.String(), "An order is confirmed") && len(children) == 4
	})
	c.signal(syscall.SIGKILL)
	require.Equal(t, -1, c.code())
	for _, pid := range children {
		require.Eventually(t, func() bool { return !isAlive(pid) }, bound, pollPause, "process %d", pid)
	}
}

// childrenOf lists the processes that a process has started and that still run.
func childrenOf(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// pid (name) state ppid ...; the name may have spaces and brackets.
		i := strings.LastIndex(string(stat), ") ")
		fields := strings.Fields(string(stat)[i+1:])
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) || fields[0] == "Z" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
