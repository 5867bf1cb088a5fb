package shop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/tools/deploy/manifest"
)

const (
	release   = "shop"
	namespace = "trade"
)

// cluster is the part of Kubernetes that the chart's objects need.
type cluster struct {
	t    testing.TB
	dir  string
	root bool

	objects  []manifest.Object
	secrets  map[string]map[string][]byte
	binaries map[string]string // by a part of the image's name

	ips   map[string]string   // of pods and servers, by name
	hosts map[string][]string // addresses by name
}

// newCluster has names of its own in /etc/hosts. The binaries are those of TCCKIT_BIN and DTM_SERVER_BIN.
func newCluster(t testing.TB) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "tcckit-deploy-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	c := &cluster{
		t: t, dir: dir, root: os.Getuid() == 0 && os.Getenv("TCCKIT_DEPLOY_USERNS") == "",
		secrets: make(map[string]map[string][]byte), binaries: make(map[string]string),
		ips: make(map[string]string), hosts: make(map[string][]string),
	}
	for image, variable := range map[string]string{"tcckit/tcckit": "TCCKIT_BIN", "tcckit/dtm-server": "DTM_SERVER_BIN"} {
		from := os.Getenv(variable)
		require.NotEmpty(t, from, "%s is to name the binary of the image %s", variable, image)
		to := filepath.Join(dir, filepath.Base(image))
		program, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, program, 0o755))
		c.binaries[image] = to
	}
	hosts := filepath.Join(dir, "hosts")
	require.NoError(t, os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"), 0o644))
	require.NoError(t, syscall.Mount(hosts, "/etc/hosts", "", syscall.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount("/etc/hosts", syscall.MNT_DETACH)) })
	return c
}

func (c *cluster) giveToNonroot(path string) {
	if c.root {
		require.NoError(c.t, os.Chown(path, nonroot, nonroot))
	}
}

// podIP is an address of the loopback network, the same each time.
func (c *cluster) podIP(name string) string {
	if c.ips[name] == "" {
		pid := os.Getpid() % 200
		c.ips[name] = fmt.Sprintf("127.%d.%d.%d", 64+pid/50, pid, len(c.ips)+2)
	}
	return c.ips[name]
}

// binary is the program of an image.
func (c *cluster) binary(image string) string {
	for part, path := range c.binaries {
		if strings.Contains(image, part) {
			return path
		}
	}
	require.Failf(c.t, "foreign image", "%s", image)
	return ""
}

// ours says whether the image is made by this project.
func (c *cluster) ours(image string) bool { return strings.Contains(image, "tcckit/") }

// secret returns a value of a Secret.
func (c *cluster) secret(name, key string) []byte {
	c.t.Helper()
	require.Containsf(c.t, c.secrets, name, "there is no Secret %s", name)
	require.Containsf(c.t, c.secrets[name], key, "Secret %s has no such key", name)
	return c.secrets[name][key]
}

// apply takes over what helm template renders. Secrets that are there stay as they are, as `lookup` has it in a cluster.
func (c *cluster) apply(args ...string) {
	c.t.Helper()
	text, err := manifest.Render(c.t.Context(), variable(c.t, "HELM_BIN"), release, namespace, "../../../deploy/helm/tcckit", args...)
	require.NoError(c.t, err)
	c.objects, err = manifest.Parse(text)
	require.NoError(c.t, err)
	for _, o := range c.objects {
		if o.Kind == "Secret" && c.secrets[o.Metadata.Name] == nil {
			c.secrets[o.Metadata.Name] = decode(c.t, o.Data)
		}
	}
}

// each calls do with the objects of a kind.
func (c *cluster) each(kind string, do func(manifest.Object)) {
	for _, o := range c.objects {
		if o.Kind == kind {
			do(o)
		}
	}
}

// deploy starts the pods of all Deployments at once, as Kubernetes does, and waits until all are ready.
func (c *cluster) deploy() map[string]*pod {
	c.t.Helper()
	pods := make(map[string]*pod)
	c.each("Deployment", func(o manifest.Object) {
		pods[o.Metadata.Labels["app.kubernetes.io/component"]] = newPod(c.t, c, o.Metadata.Name+"-0", o.Spec.Template)
	})
	c.publish(pods)
	for _, p := range pods {
		p.start()
	}
	together(pods, (*pod).waitReady)
	return pods
}

// together does something with each pod, at the same time.
func together(pods map[string]*pod, do func(*pod)) {
	var running sync.WaitGroup
	for _, p := range pods {
		running.Go(func() { do(p) })
	}
	running.Wait()
}

// publish makes the Services' names known: those of our pods, and of the servers that serve is given.
func (c *cluster) publish(pods map[string]*pod) {
	c.t.Helper()
	c.each("Service", func(o manifest.Object) {
		selector, _ := o.Spec.Selector.(map[string]any)
		for _, p := range pods {
			if matches(selector, p.template.Metadata.Labels) {
				c.name(o.Metadata.Name, p.ip)
			}
		}
	})
	c.writeHosts()
}

func matches(selector map[string]any, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// name gives an address the names of a Service.
func (c *cluster) name(service, ip string) {
	for _, name := range []string{service, service + "." + namespace, service + "." + namespace + ".svc"} {
		c.hosts[name] = append(c.hosts[name], ip)
	}
}

func (c *cluster) writeHosts() {
	var text strings.Builder
	text.WriteString("127.0.0.1 localhost\n")
	for name, ips := range c.hosts {
		for _, ip := range ips {
			fmt.Fprintf(&text, "%s %s\n", ip, name)
		}
	}
	require.NoError(c.t, os.WriteFile("/etc/hosts", []byte(text.String()), 0o644))
}

// forward has a Service's name and port lead to a server of this machine.
func (c *cluster) forward(service, port, target string) {
	c.t.Helper()
	ip := c.podIP(service)
	var lc net.ListenConfig
	l, err := lc.Listen(c.t.Context(), "tcp", net.JoinHostPort(ip, port))
	require.NoError(c.t, err)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.t.Context()))
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { pipe(ctx, conn, target) })
		}
	})
	c.t.Cleanup(func() {
		cancel()
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			require.NoError(c.t, err)
		}
		running.Wait()
	})
	c.name(service, ip)
}

// pipe passes on what goes through a connection until one side or ctx ends.
func pipe(ctx context.Context, conn net.Conn, target string) {
	defer conn.Close()
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), server.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, server}, {server, conn}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // an end like any other
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	both.Wait()
}

func variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	require.NotEmpty(t, value, "%s is not set: run deploy/test-deploy.sh", name)
	return value
}
