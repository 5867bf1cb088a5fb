package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const token = "only-on-loopback"

// server is a Kubernetes API server.
type server struct {
	t      testing.TB
	dir    string
	url    string
	client *http.Client
}

func variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	require.NotEmpty(t, value, "%s is not set: run deploy/test-deploy-api.sh", name)
	return value
}

// start starts etcd and an API server that lets the holder of the token do everything.
func start(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	s.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // its certificate is made at start
	}}
	etcd, peer, port := freePort(t), freePort(t), freePort(t)
	s.url = "https://127.0.0.1:" + port
	s.run("ETCD_BIN", "--data-dir="+filepath.Join(s.dir, "etcd"), "--log-level=error", "--unsafe-no-fsync",
		"--listen-client-urls=http://127.0.0.1:"+etcd, "--advertise-client-urls=http://127.0.0.1:"+etcd,
		"--listen-peer-urls=http://127.0.0.1:"+peer, "--initial-advertise-peer-urls=http://127.0.0.1:"+peer,
		"--initial-cluster=default=http://127.0.0.1:"+peer)
	key := s.serviceAccountKey()
	tokens := s.file("tokens.csv", token+`,admin,admin,"system:masters"`+"\n")
	s.run("KUBE_APISERVER_BIN", "--etcd-servers=http://127.0.0.1:"+etcd, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+filepath.Join(s.dir, "certs"), "--service-cluster-ip-range=10.0.0.0/16", "--token-auth-file="+tokens,
		"--authorization-mode=RBAC", "--service-account-issuer=https://tcckit.test", "--service-account-key-file="+key,
		"--service-account-signing-key-file="+key, "--disable-admission-plugins=ServiceAccount")
	require.Eventually(t, func() bool {
		code, _ := s.ask(http.MethodGet, "/readyz", nil)
		return code == http.StatusOK
	}, 2*time.Minute, 200*time.Millisecond, "the API server is not ready")
	return s
}

// run starts a program that ends with the test.
func (s *server) run(bin string, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), variable(s.t, bin), args...)
	log, err := os.Create(filepath.Join(s.dir, bin+".log"))
	require.NoError(s.t, err)
	cmd.Env = []string{"HOME=" + s.dir}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if s.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			s.t.Logf("%s: %s", bin, text[max(0, len(text)-3000):])
		}
	})
}

func (s *server) file(name, text string) string {
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (s *server) serviceAccountKey() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(s.t, err)
	return s.file("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

func freePort(t testing.TB) string {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// ask sends a request, and returns the status code, 0 if there is no answer, and the answer.
func (s *server) ask(method, path string, body any) (int, map[string]any) {
	text, err := json.Marshal(body)
	require.NoError(s.t, err)
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.url+path, bytes.NewReader(text))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", map[bool]string{true: "application/merge-patch+json", false: "application/json"}[method == http.MethodPatch])
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	text, _ = io.ReadAll(resp.Body)
	var answer map[string]any
	_ = json.Unmarshal(text, &answer) // /readyz answers no JSON
	return resp.StatusCode, answer
}

// kinds are the places of what the chart may make.
func kinds() []string {
	return []string{
		"/api/v1/%s/secrets", "/api/v1/%s/configmaps", "/api/v1/%s/services", "/api/v1/%s/pods", "/api/v1/%s/persistentvolumeclaims",
		"/api/v1/%s/serviceaccounts", "/apis/apps/v1/%s/deployments", "/apis/apps/v1/%s/statefulsets", "/apis/batch/v1/%s/jobs",
		"/apis/batch/v1/%s/cronjobs", "/apis/policy/v1/%s/poddisruptionbudgets", "/apis/networking.k8s.io/v1/%s/networkpolicies",
		"/apis/networking.k8s.io/v1/%s/ingresses", "/apis/autoscaling/v2/%s/horizontalpodautoscalers",
	}
}

// objects lists everything in the namespace, as kind/name, but Helm's own records.
func (s *server) objects() map[string]map[string]any {
	s.t.Helper()
	found := make(map[string]map[string]any)
	for _, kind := range kinds() {
		code, list := s.ask(http.MethodGet, fmt.Sprintf(kind, "namespaces/"+namespace), nil)
		require.Equal(s.t, http.StatusOK, code, kind)
		items, _ := list["items"].([]any)
		for _, item := range items {
			o, _ := item.(map[string]any)
			metadata, _ := o["metadata"].(map[string]any)
			name, _ := metadata["name"].(string)
			if o["type"] == "helm.sh/release.v1" || metadata["deletionTimestamp"] != nil {
				continue // what is deleted waits for controllers that are not there
			}
			found[kind[strings.LastIndexByte(kind, '/')+1:]+"/"+name] = o
		}
	}
	return found
}

// kubeconfig is for Helm.
func (s *server) kubeconfig() string {
	return s.file("kubeconfig", fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "test",
"clusters": [{"name": "test", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
"users": [{"name": "test", "user": {"token": %q}}],
"contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}`, s.url, token))
}
