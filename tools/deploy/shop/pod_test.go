package shop_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tcckit/tcckit/tools/deploy/manifest"
)

// nonroot is the user of the images.
const nonroot = 65532

// pod is a pod whose containers are processes.
type pod struct {
	t        testing.TB
	cluster  *cluster
	name, ip string
	template manifest.Template
	volumes  map[string]string // by name: folders

	running *process // its first container
}

// newPod puts the pod's volumes into folders.
func newPod(t testing.TB, c *cluster, name string, template manifest.Template) *pod {
	p := &pod{t: t, cluster: c, name: name, ip: c.podIP(name), template: template, volumes: make(map[string]string)}
	for _, v := range template.Spec.Volumes {
		dir := filepath.Join(c.dir, "volumes", name, v.Name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		p.volumes[v.Name] = dir
		if v.EmptyDir != nil {
			c.giveToNonroot(dir)
		}
		if v.Secret == nil {
			continue
		}
		for _, item := range v.Secret.Items {
			file := filepath.Join(dir, item.Path)
			require.NoError(t, os.WriteFile(file, c.secret(v.Secret.SecretName, item.Key), 0o400))
			c.giveToNonroot(file)
		}
	}
	return p
}

// local turns what a container is told of its pod into what is true of the process.
func (p *pod) local(c manifest.Container, text string) string {
	text = strings.ReplaceAll(text, "0.0.0.0", p.ip)
	for _, m := range c.VolumeMounts {
		text = strings.ReplaceAll(text, m.MountPath, p.volumes[m.Name])
	}
	return text
}

func (p *pod) environment(c manifest.Container) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOSTNAME=" + p.name}
	for _, e := range c.Env {
		value := e.Value
		switch {
		case e.ValueFrom == nil:
		case e.ValueFrom.SecretKeyRef != nil:
			value = string(p.cluster.secret(e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key))
		case e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "status.podIP":
			value = p.ip
		default:
			require.Failf(p.t, "unknown source", "of %s in %s", e.Name, p.name)
		}
		env = append(env, e.Name+"="+p.local(c, value))
	}
	return env
}

// command is what the kubelet would run, in the pod's own environment.
func (p *pod) command(ctx context.Context, c manifest.Container, args ...string) *exec.Cmd {
	require.Empty(p.t, c.Command, "the images have no shell")
	for i := range args {
		args[i] = p.local(c, args[i])
	}
	cmd := exec.CommandContext(ctx, p.cluster.binary(c.Image), args...)
	cmd.Env, cmd.Dir = p.environment(c), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.cluster.root {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nonroot, Gid: nonroot}
	}
	return cmd
}

// complete runs a container to its end, which must be a good one, and returns what it printed.
func (p *pod) complete(c manifest.Container) string {
	p.t.Helper()
	return p.exec(c, slices.Clone(c.Args)...)
}

// exec runs a program beside the container, as kubectl exec does.
func (p *pod) exec(c manifest.Container, args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	out, err := p.command(ctx, c, args...).CombinedOutput()
	require.NoErrorf(p.t, err, "%s: %s %q:\n%s", p.name, c.Name, args, out)
	return string(out)
}

// start runs the init containers that are ours to the end, and starts the first container.
func (p *pod) start() {
	p.t.Helper()
	for _, c := range p.template.Spec.InitContainers {
		if p.cluster.ours(c.Image) {
			p.complete(c)
		}
	}
	c := p.template.Spec.Containers[0]
	process := &process{name: p.name, cmd: p.command(context.WithoutCancel(p.t.Context()), c, slices.Clone(c.Args)...), done: make(chan struct{})}
	process.cmd.Stdout, process.cmd.Stderr = process, process
	require.NoError(p.t, process.cmd.Start(), p.name)
	go process.wait()
	p.running = process
	p.t.Cleanup(func() {
		process.kill()
		if p.t.Failed() {
			p.t.Logf("%s:\n%s", p.name, process.text())
		}
	})
}

// waitReady asks the probes as a kubelet does, until the pod is ready.
func (p *pod) waitReady() {
	p.t.Helper()
	c := p.template.Spec.Containers[0]
	deadline := time.Now().Add(time.Duration(c.StartupProbe.PeriodSeconds*c.StartupProbe.FailureThreshold) * time.Second)
	for _, probe := range []*manifest.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		for err := p.ask(c, probe); err != nil; err = p.ask(c, probe) {
			select {
			case <-p.running.done:
				p.t.Errorf("%s ended: %s", p.name, p.running.text())
				return
			case <-time.After(50 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				p.t.Errorf("%s is not ready: %v\n%s", p.name, err, p.running.text())
				return
			}
		}
	}
}

func (p *pod) ask(c manifest.Container, probe *manifest.Probe) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Second)
	defer cancel()
	if probe.GRPC != nil {
		conn, err := grpc.NewClient(p.ip+":"+strconv.Itoa(probe.GRPC.Port), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer conn.Close()
		resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: probe.GRPC.Service})
		if err == nil && resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = fmt.Errorf("health is %s", resp.GetStatus())
		}
		return err
	}
	port := slices.IndexFunc(c.Ports, func(port manifest.Port) bool { return port.Name == probe.HTTPGet.Port })
	if port < 0 {
		return fmt.Errorf("the probe names port %v, which is not there", probe.HTTPGet.Port)
	}
	url := fmt.Sprintf("http://%s:%d%s", p.ip, c.Ports[port].ContainerPort, probe.HTTPGet.Path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// stop ends the pod as a kubelet does, which must not have to kill it.
func (p *pod) stop() {
	p.t.Helper()
	if err := p.running.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	select {
	case <-p.running.done:
		if code := p.running.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("%s ended with %d:\n%s", p.name, code, p.running.text())
		}
	case <-time.After(time.Duration(p.template.Spec.TerminationGracePeriodSeconds) * time.Second):
		p.t.Errorf("%s still runs after its grace period:\n%s", p.name, p.running.text())
	}
}

// process is a process with what it prints.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.out.String()
	return text[max(0, len(text)-4000):]
}

func (p *process) wait() {
	_ = p.cmd.Wait() // its state is looked at
	close(p.done)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// decode returns a Secret's values.
func decode(t testing.TB, data map[string]string) map[string][]byte {
	decoded := make(map[string][]byte)
	for k := range maps.Keys(data) {
		value, err := base64.StdEncoding.DecodeString(data[k])
		require.NoError(t, err, k)
		decoded[k] = value
	}
	return decoded
}
