package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthAsksTheProbeListener(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("what it says\n"))
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")

	var out bytes.Buffer
	require.NoError(t, askHealth(t.Context(), addr, &out))
	require.Equal(t, "what it says\n", out.String())
	_, port, _ := strings.Cut(addr, ":")
	require.NoError(t, askHealth(t.Context(), "0.0.0.0:"+port, &out))

	status = http.StatusServiceUnavailable
	require.EqualError(t, askHealth(t.Context(), addr, &out), "not ready: what it says")
	require.ErrorContains(t, askHealth(t.Context(), "", &out), "PROBE_ADDR")
	server.Close()
	require.ErrorContains(t, askHealth(t.Context(), addr, &out), "refused")
}
