//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/background"
)

// upState reads what `up` says about a folder.
func upState(t *testing.T, dir string) background.State {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "state.json"))
	require.NoError(t, err)
	var s background.State
	require.NoError(t, json.Unmarshal(text, &s))
	return s
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	dir := t.TempDir()
	t.Cleanup(func() { start(t, nil, "down", "--dir="+dir).code() })
	c := start(t, nil, "up", "--dir="+dir)
	require.Equal(t, 0, c.code())
	require.Contains(t, c.out.String(), "running in the background")
	require.Contains(t, c.out.String(), "and beside it, at the same addresses, cart, dispatch, bank-north, bank-south\n")
	require.Contains(t, c.out.String(), "messages stay within their process")
	require.Contains(t, c.out.String(), "tcckit down --dir "+dir)
	state := upState(t, dir)

	again := start(t, nil, "up", "--dir="+dir)
	require.Equal(t, 0, again.code())
	require.Contains(t, again.out.String(), "runs already")
	require.Equal(t, state, upState(t, dir))

	accounts := accountpb.NewAccountServiceClient(dial(t, state.Services["account"].Internal))
	_, err := accounts.OpenAccount(t.Context(), &accountpb.OpenAccountRequest{RequestId: "a", AccountId: "a", Currency: "EUR"})
	require.NoError(t, err)

	children := childrenOf(state.PID)
	require.Len(t, children, 4)
	for _, pid := range children {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	require.Eventually(t, func() bool {
		_, err := accounts.GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
		code, _ := get(t, state.DTM.HTTPURL+"/api/ping")
		return err == nil && code == 200 && len(childrenOf(state.PID)) == 4
	}, bound, pollPause, "all four are started again, with their data")
	children = childrenOf(state.PID)

	down := start(t, nil, "down", "--dir="+dir)
	require.Equal(t, 0, down.code())
	require.Equal(t, "ended\n", down.out.String())
	for _, pid := range children {
		require.False(t, isAlive(pid), pid)
	}
	require.Eventually(t, func() bool { return !isAlive(state.PID) }, bound, pollPause)
	down = start(t, nil, "down", "--dir="+dir)
	require.Equal(t, 0, down.code())
	require.Equal(t, "nothing was running\n", down.out.String())
}

func TestUpTwiceAtOnce(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	dir := t.TempDir()
	t.Cleanup(func() { start(t, nil, "down", "--dir="+dir).code() })
	ups := []*command{start(t, nil, "up", "--dir="+dir), start(t, nil, "up", "--dir="+dir), start(t, nil, "up", "--dir="+dir)}
	var all sync.WaitGroup
	for _, c := range ups {
		all.Go(func() { <-c.done })
	}
	all.Wait()
	started := 0
	for _, c := range ups {
		require.Equal(t, 0, c.code())
		started += strings.Count(c.out.String(), "running in the background")
	}
	require.Equal(t, 1, started)
	require.Len(t, childrenOf(upState(t, dir).PID), 4)
}

func TestUpStartsNoRocketMQBesideAGivenOne(t *testing.T) {
	t.Parallel()
	c := start(t, nil, "up", "--dir="+t.TempDir(), "--rocketmq=127.0.0.1:9876", "--start-rocketmq")
	require.Equal(t, 2, c.code())
	require.Contains(t, c.log.String(), "--rocketmq names one that runs")
}

func TestUpThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, []string{"TCCKIT_DTM_SERVER=/no/such/program"}, "up", "--dir="+dir)
	require.Equal(t, 1, c.code())
	require.Contains(t, c.log.String(), "/no/such/program")
	down := start(t, nil, "down", "--dir="+dir)
	require.Equal(t, 0, down.code())
	require.Equal(t, "nothing was running\n", down.out.String())
}
