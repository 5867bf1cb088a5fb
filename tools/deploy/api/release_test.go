package api_test

import (
	"context"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	chart     = "../../../deploy/helm/tcckit"
	namespace = "trade"
)

// release is what Helm does with the chart on a server.
type release struct {
	*server
	helm, kubeconfig string
}

func (r *release) run(args ...string) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	args = append(args, "--namespace", namespace, "--kubeconfig", r.kubeconfig)
	out, err := exec.CommandContext(ctx, r.helm, args...).CombinedOutput()
	return string(out), err
}

func (r *release) must(args ...string) string {
	r.t.Helper()
	out, err := r.run(args...)
	require.NoError(r.t, err, out)
	return out
}

// each tests with both versions of Helm, each on a server of its own.
func each(t *testing.T, test func(*release)) {
	t.Helper()
	for name, bin := range map[string]string{"Helm 4": "HELM_BIN", "Helm 3": "HELM3_BIN"} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			code, _ := s.ask(http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{
				"name": namespace, "labels": map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
			}})
			require.Equal(t, http.StatusCreated, code)
			test(&release{server: s, helm: variable(t, bin), kubeconfig: s.kubeconfig()})
		})
	}
}

// secrets are the values of all Secrets.
func secrets(objects map[string]map[string]any) map[string]any {
	values := make(map[string]any)
	for name, o := range objects {
		if strings.HasPrefix(name, "secrets/") {
			values[name] = o["data"]
		}
	}
	return values
}

func at(o map[string]any, path ...string) any {
	var v any = o
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func names(objects map[string]map[string]any) []string { return slices.Sorted(maps.Keys(objects)) }

// Install, upgrade with changed values, rollback, uninstall, install again: what is generated stays the same all along,
// and nothing is left but the signing key.
func TestALife(t *testing.T) {
	each(t, func(r *release) {
		t := r.t
		out := r.must("install", "shop", chart, "--set", "dev.enabled=true")
		require.NotContains(t, out, "would violate PodSecurity")
		first := r.objects()
		require.Len(t, secrets(first), 11+1+2, "certificates, the signing key, the development servers'")

		r.must("upgrade", "shop", chart, "--set", "dev.enabled=true", "--set", "services.account.replicas=3", "--set", "console.enabled=true",
			"--set", "dev.persistence.enabled=true", "--set", "dtm.store.driver=redis", "--set", "services.stock.autoscaling.enabled=true",
			"--set", "services.express.enabled=false", "--set", "networkPolicy.egress.enabled=true", "--set", "sweep.enabled=false")
		second := r.objects()
		require.InDelta(t, 3, at(second["deployments/shop-tcckit-account"], "spec", "replicas"), 0)
		require.Contains(t, second, "services/shop-tcckit-console")
		require.Contains(t, second, "persistentvolumeclaims/shop-tcckit-mysql")
		require.NotContains(t, second, "deployments/shop-tcckit-express")
		require.NotContains(t, second, "cronjobs/shop-tcckit-sweep")
		kept := secrets(second)
		for name, value := range secrets(first) {
			if !strings.Contains(name, "express") && name != "secrets/shop-tcckit-databases" && name != "secrets/shop-tcckit-dtm-tls" {
				require.Equal(t, value, kept[name], "%s is kept", name)
			}
		}

		r.must("upgrade", "shop", chart, "--set", "dev.enabled=true", "--set", "console.enabled=true")
		require.Equal(t, secrets(second)["secrets/shop-tcckit-console"], secrets(r.objects())["secrets/shop-tcckit-console"])

		r.must("rollback", "shop", "1")
		require.Equal(t, names(first), names(r.objects()))
		require.Equal(t, secrets(first)["secrets/shop-tcckit-signing"], secrets(r.objects())["secrets/shop-tcckit-signing"])
		require.InDelta(t, 1, at(r.objects()["deployments/shop-tcckit-account"], "spec", "replicas"), 0)

		r.must("uninstall", "shop")
		require.Equal(t, []string{"secrets/shop-tcckit-signing"}, names(r.objects()), "as documented")

		r.must("install", "shop", chart, "--set", "dev.enabled=true")
		require.Equal(t, secrets(first)["secrets/shop-tcckit-signing"], secrets(r.objects())["secrets/shop-tcckit-signing"])
	})
}

// The Job that migrates runs first, and again before an upgrade; if it fails, nothing is changed.
func TestMigrationsAreAHook(t *testing.T) {
	each(t, func(r *release) {
		t := r.t
		values := []string{
			"--set", "databases.existingSecret=given", "--set", "dtm.store.host=db", "--set", "messages.rocketmq.nameServers={mq:9876}",
			"--timeout", "30s",
		}
		stop := r.finishJobs("Complete")
		r.must(append([]string{"install", "shop", chart}, values...)...)
		r.must(append([]string{"upgrade", "shop", chart, "--set", "services.account.replicas=3"}, values...)...)
		require.Positive(t, stop(), "Jobs that ran")
		before := r.objects()
		require.NotContains(t, before, "jobs/shop-tcckit-migrate", "it goes when it succeeded")

		stop = r.finishJobs("Failed")
		out, err := r.run(append([]string{"upgrade", "shop", chart, "--set", "services.account.replicas=5"}, values...)...)
		require.Error(t, err, out)
		require.Equal(t, 1, stop())
		after := r.objects()
		require.Contains(t, after, "jobs/shop-tcckit-migrate", "it stays when it failed")
		delete(after, "jobs/shop-tcckit-migrate")
		require.Equal(t, before, after, "nothing is changed")
	})
}

// Every values file is taken by the server; what needs custom resources is told to do without.
func TestEveryValuesFile(t *testing.T) {
	s := start(t)
	code, _ := s.ask(http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": namespace}})
	require.Equal(t, http.StatusCreated, code)
	r := &release{server: s, helm: variable(t, "HELM_BIN"), kubeconfig: s.kubeconfig()}
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		args := []string{
			"install", name, chart, "--values", file, "--no-hooks",
			"--set", "monitoring.serviceMonitor.enabled=false", "--set", "monitoring.prometheusRule.enabled=false",
		}
		if name == "cert-manager" || name == "console" {
			args = append(args, "--set", "tls.mode=generated")
		}
		r.must(args...)
		r.must("uninstall", name, "--no-hooks")
	}
}

// finishJobs ends Jobs as the Job controller would, and returns what stops it and says how many ended.
func (r *release) finishJobs(how string) (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	finished, done := make(map[any]bool), make(chan struct{})
	criterion := map[string]string{"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[how]
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, list := r.ask(http.MethodGet, "/apis/batch/v1/namespaces/"+namespace+"/jobs", nil)
			items, _ := list["items"].([]any)
			for _, item := range items {
				job, _ := item.(map[string]any)
				if uid := at(job, "metadata", "uid"); !finished[uid] && at(job, "status", "conditions") == nil {
					finished[uid] = true
					r.endJob(job, criterion, how)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	r.t.Cleanup(cancel)
	return func() int {
		cancel()
		<-done
		return len(finished)
	}
}

func (r *release) endJob(job map[string]any, conditions ...string) {
	name, _ := at(job, "metadata", "name").(string)
	path := "/apis/batch/v1/namespaces/" + namespace + "/jobs/" + name + "/status"
	now := time.Now().UTC().Format(time.RFC3339)
	status := map[string]any{"startTime": now}
	if slices.Contains(conditions, "Complete") {
		status["completionTime"], status["succeeded"] = now, 1
	} else {
		status["failed"] = 1
	}
	var list []any
	for _, c := range conditions {
		list = append(list, map[string]any{"type": c, "status": "True", "lastTransitionTime": now, "lastProbeTime": now})
	}
	status["conditions"] = list
	if code, answer := r.ask(http.MethodPatch, path, map[string]any{"status": status}); code != http.StatusOK {
		r.t.Errorf("the Job's end: %d %v", code, answer["message"])
	}
}
