package dtmserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/testserver"
)

func freeAddr(t *testing.T) string {
	t.Helper()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func awaitCode(t *testing.T, url string, want int) string {
	t.Helper()
	var body string
	require.Eventually(t, func() bool {
		var response *http.Response
		body, response = fetch(t, url)
		return response.StatusCode == want
	}, bound, 50*time.Millisecond, "%s: %s", url, &body)
	return body
}

func TestProbes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs Redis, which -short leaves out")
	}
	redis, addr := testserver.StartRedis(t), freeAddr(t)
	server := start(t, ours(), dtmserver.Redis(redis.Addr(), ""), "PROBE_ADDR="+addr, "SHUTDOWN_DELAY=3s")
	probe := "http://" + addr
	awaitCode(t, probe+"/readyz", http.StatusOK)
	require.Contains(t, awaitCode(t, probe+"/metrics", http.StatusOK), "dtm_server_info")
	for _, path := range []string{"/", "/api/dtmsvr/all", "/api/metrics", "/admin/"} {
		awaitCode(t, probe+path, http.StatusNotFound)
	}

	redis.Kill()
	require.Contains(t, awaitCode(t, probe+"/readyz", http.StatusServiceUnavailable), "the store")
	awaitCode(t, probe+"/healthz", http.StatusOK)
	redis.Restart()
	awaitCode(t, probe+"/readyz", http.StatusOK)

	i, p := newInitiator(t, server), newParticipant(t)
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), bound)
		defer cancel()
		stopped <- server.Stop(ctx)
	}()
	require.Contains(t, awaitCode(t, probe+"/readyz", http.StatusServiceUnavailable), "stopping")
	gid := i.prepare(p)
	require.NoError(t, i.submit(gid), "calls are still taken")
	i.awaitStatus(gid, "succeed")
	require.NoError(t, <-stopped)
}

// The console's own listener, by TLS and without a certificate of the client, refuses whoever has no password, and
// whatever is not the console's.
func TestConsoleListener(t *testing.T) {
	t.Parallel()
	addr, passwords, ca := freeAddr(t), filepath.Join(tempDir(t), "passwords"), certstest.NewAuthority(t)
	require.NoError(t, os.WriteFile(passwords, []byte(opsLine+"\n"), 0o600))
	_, err := tryStart(t, ours(), func(c *dtmserver.Config) {
		c.TLS = &dtmserver.TLS{Server: ca.Files(t, "dtm"), Client: ca.Source(t, "ops")}
		c.Env = append(c.Env, "CONSOLE_ADDR="+addr, "CONSOLE_PASSWORD_FILE="+passwords, "TLS_CLIENTS=ops")
	})
	require.NoError(t, err)
	client := http.Client{Transport: clientWithoutCertificate(ca)}
	t.Cleanup(client.CloseIdleConnections)
	code := func(method, path, user, password string) int {
		request, err := http.NewRequestWithContext(bounded(t), method, "https://"+addr+path, strings.NewReader(`{"gid":"none"}`))
		require.NoError(t, err)
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	for _, path := range []string{"/", "/admin/", "/assets/x.js", "/favicon.ico", "/api/dtmsvr/all", "/api/dtmsvr/newGid", "/nothing"} {
		require.Equal(t, http.StatusUnauthorized, code(http.MethodGet, path, "", ""), path)
		require.Equal(t, http.StatusUnauthorized, code(http.MethodGet, path, "ops", "wrong"), path)
	}
	require.Equal(t, http.StatusUnauthorized, code(http.MethodPost, "/api/dtmsvr/forceStop", "", ""))
	require.Equal(t, http.StatusOK, code(http.MethodGet, "/api/dtmsvr/all", "ops", opsPassword))
	require.Equal(t, http.StatusOK, code(http.MethodGet, "/api/dtmsvr/version", "ops", opsPassword))
	for _, path := range []string{"submit", "abort", "prepare", "registerBranch"} {
		require.Equal(t, http.StatusNotFound, code(http.MethodPost, "/api/dtmsvr/"+path, "ops", opsPassword), path)
	}
	require.Equal(t, http.StatusNotFound, code(http.MethodGet, "/api/metrics", "ops", opsPassword))
	_, response := fetch(t, "http://"+addr+"/")
	require.Equal(t, http.StatusBadRequest, response.StatusCode, "without TLS")
}

// clientWithoutCertificate trusts a CA and shows nothing, as a person's browser.
func clientWithoutCertificate(ca *certstest.Authority) *http.Transport {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca.PEM())
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS13}}
}

func TestListenersThatDoNotStart(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(tempDir(t), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	taken := newParticipant(t).addr
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"no password file":      {[]string{"CONSOLE_ADDR=127.0.0.1:1"}, "not served without a password"},
		"missing password file": {[]string{"CONSOLE_ADDR=127.0.0.1:1", "CONSOLE_PASSWORD_FILE=" + empty + ".not"}, "no such file"},
		"empty password file":   {[]string{"CONSOLE_ADDR=127.0.0.1:1", "CONSOLE_PASSWORD_FILE=" + empty}, "there is no user in it"},
		"password in the clear": {[]string{"CONSOLE_ADDR=0.0.0.0:1", "CONSOLE_PASSWORD_FILE=" + empty}, "in the clear"},
		"missing certificate":   {[]string{"TLS_CERT=" + empty + ".not", "TLS_KEY=" + empty, "TLS_CA=" + empty}, "no such file"},
		"empty certificate":     {[]string{"TLS_CERT=" + empty, "TLS_KEY=" + empty, "TLS_CA=" + empty}, "certificate " + empty},
		"half of TLS":           {[]string{"TLS_CERT=" + empty}, "give all three or none"},
		"probes' port is taken": {[]string{"PROBE_ADDR=" + taken}, "address already in use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tryStart(t, ours(), func(c *dtmserver.Config) {
				c.HTTPAddr, c.GRPCAddr, c.Env = freeAddr(t), freeAddr(t), append(c.Env, test.env...)
			})
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "goroutine", "no stack trace")
		})
	}
}

func TestPasswordCommand(t *testing.T) {
	t.Parallel()
	cmd := command(t, nil, "password", "ops")
	cmd.Stdin = strings.NewReader("s3cret\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Regexp(t, `^ops:\$2a\$10\$.{53}\n$`, string(out))
	for _, args := range [][]string{{"password"}, {"password", "a:b"}, {"password", "ops"}} {
		require.Error(t, command(t, nil, args...).Run(), "%q, and no password", args)
	}
}
