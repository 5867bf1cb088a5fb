package shop_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// strangers have no certificate: they get to the console with its password, and to DTM's API not at all.
func (c *cluster) strangers(withTLS bool) {
	c.t.Helper()
	scheme, config := "http", &tls.Config{MinVersion: tls.VersionTLS13}
	if withTLS {
		scheme, config.RootCAs = "https", x509.NewCertPool()
		require.True(c.t, config.RootCAs.AppendCertsFromPEM(c.secret("shop-tcckit-ops-tls", "ca.crt")))
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()

	console := scheme + "://shop-tcckit-console:36791/"
	require.Equal(c.t, http.StatusUnauthorized, status(c.t, client, console, "admin", ""))
	require.Equal(c.t, http.StatusUnauthorized, status(c.t, client, console, "admin", "guess"))
	require.Equal(c.t, http.StatusOK, status(c.t, client, console, string(c.secret("shop-tcckit-console", "username")), string(c.secret("shop-tcckit-console", "password"))))
	if withTLS {
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "https://shop-tcckit-dtm:36789/api/dtmsvr/all", nil)
		require.NoError(c.t, err)
		resp, err := client.Do(req)
		if err == nil {
			require.NoError(c.t, resp.Body.Close())
		}
		require.ErrorContains(c.t, err, "certificate required")
	}
}

func status(t testing.TB, client *http.Client, url, user, password string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.SetBasicAuth(user, password)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
