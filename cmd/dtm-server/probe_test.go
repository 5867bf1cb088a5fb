package main

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	store := &storeProbe{ping: func() error {
		if away.Load() {
			return errors.New("refused")
		}
		return nil
	}}
	p := &phase{}
	handler := probe(p, store)
	is := func(path string, code int, text string) {
		t.Helper()
		answer := ask(t, handler, http.MethodGet, path, nil)
		require.Equal(t, code, answer.Code, path)
		require.Contains(t, answer.Body.String(), text)
	}
	is("/healthz", http.StatusOK, "ok")
	is("/readyz", http.StatusServiceUnavailable, "starting")
	p.now.Store(serving)
	is("/readyz", http.StatusOK, "ok")
	away.Store(true)
	require.Eventually(t, func() bool { return ask(t, handler, http.MethodGet, "/readyz", nil).Code != http.StatusOK }, 10*probeFresh, probeFresh/50)
	is("/readyz", http.StatusServiceUnavailable, "the store: refused")
	away.Store(false)
	require.Eventually(t, func() bool { return ask(t, handler, http.MethodGet, "/readyz", nil).Code == http.StatusOK }, 10*probeFresh, probeFresh/50)
	p.now.Store(stopping)
	is("/readyz", http.StatusServiceUnavailable, "stopping")
	is("/healthz", http.StatusOK, "ok")
	is("/metrics", http.StatusOK, "go_goroutines")
	is("/", http.StatusNotFound, "")
	is("/api/dtmsvr/all", http.StatusNotFound, "")
	require.Equal(t, http.StatusMethodNotAllowed, ask(t, handler, http.MethodPost, "/healthz", nil).Code)
}

// A store that never answers gets one question, however many ask.
func TestAProbeOfAStoreThatHangs(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	hang := make(chan struct{})
	defer close(hang)
	store := &storeProbe{ping: func() error { asked.Add(1); <-hang; return nil }}
	for range 2 {
		require.ErrorContains(t, store.check(t.Context()), "the store does not answer")
	}
	require.Equal(t, int32(1), asked.Load())
}
