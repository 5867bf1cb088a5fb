package chart_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/tcckit/tcckit/tools/deploy/manifest"
)

const chart = "../../../deploy/helm/tcckit"

func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	require.NotEmpty(t, value, "%s is not set: run deploy/test-deploy.sh", name)
	return value
}

// each calls test with what every values file renders.
func each(t *testing.T, test func(t *testing.T, text []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), "-values.yaml"), func(t *testing.T) {
			text, err := manifest.Render(t.Context(), variable(t, "HELM_BIN"), "shop", "trade", chart, "--values", file)
			require.NoError(t, err)
			test(t, text)
		})
	}
}

// A pod as its security is said.
type pod struct {
	AutomountServiceAccountToken, EnableServiceLinks *bool
	HostNetwork, HostPID, HostIPC                    bool
	SecurityContext                                  struct {
		RunAsNonRoot       bool
		RunAsUser, FSGroup int
		SeccompProfile     struct{ Type string }
	}
	InitContainers, Containers []container
	Volumes                    []map[string]any
}

type container struct {
	Name, Image     string
	Args, Command   []string
	SecurityContext struct {
		AllowPrivilegeEscalation *bool
		Privileged               bool
		ReadOnlyRootFilesystem   bool
		RunAsNonRoot             bool
		Capabilities             struct{ Drop, Add []string }
	}
	Resources struct{ Requests, Limits map[string]any }
}

// pods finds the pods of all objects of a rendered text, by object.
func pods(t *testing.T, text []byte) map[string]pod {
	t.Helper()
	found := make(map[string]pod)
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     json.RawMessage
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &o))
		var spec struct {
			Template    struct{ Spec pod }
			JobTemplate struct {
				Spec struct{ Template struct{ Spec pod } }
			}
		}
		var p pod
		switch o.Kind {
		case "Deployment", "StatefulSet", "Job", "CronJob":
			require.NoError(t, json.Unmarshal(o.Spec, &spec))
			if p = spec.Template.Spec; o.Kind == "CronJob" {
				p = spec.JobTemplate.Spec.Template.Spec
			}
		case "Pod":
			require.NoError(t, json.Unmarshal(o.Spec, &p))
		default:
			continue
		}
		require.NotEmpty(t, p.Containers, "%s %s", o.Kind, o.Metadata.Name)
		found[o.Kind+" "+o.Metadata.Name] = p
	}
	require.NotEmpty(t, found)
	return found
}

// Every pod fits the restricted profile of Kubernetes' Pod Security Standards, with a read-only root, without the
// account's token, and with limits.
func TestPodsMayDoNothing(t *testing.T) {
	each(t, func(t *testing.T, text []byte) {
		for name, p := range pods(t, text) {
			require.Equal(t, []any{false, false}, []any{*p.AutomountServiceAccountToken, *p.EnableServiceLinks}, name)
			require.False(t, p.HostNetwork || p.HostPID || p.HostIPC, name)
			require.True(t, p.SecurityContext.RunAsNonRoot, name)
			require.Positive(t, p.SecurityContext.RunAsUser, name)
			require.Equal(t, "RuntimeDefault", p.SecurityContext.SeccompProfile.Type, name)
			for _, v := range p.Volumes {
				require.NotContains(t, v, "hostPath", name)
			}
			for _, c := range append(p.InitContainers, p.Containers...) {
				at := name + ", container " + c.Name
				s := c.SecurityContext
				require.NotNil(t, s.AllowPrivilegeEscalation, at)
				require.False(t, *s.AllowPrivilegeEscalation || s.Privileged, at)
				require.True(t, s.ReadOnlyRootFilesystem && s.RunAsNonRoot, at)
				require.Equal(t, []string{"ALL"}, s.Capabilities.Drop, at)
				require.Empty(t, s.Capabilities.Add, at)
				for _, what := range []string{"cpu", "memory"} {
					require.Contains(t, c.Resources.Requests, what, at)
					require.Contains(t, c.Resources.Limits, what, at)
				}
				require.Regexp(t, `^[^:@]+(/[^:@]+)*(:[0-9][A-Za-z0-9._-]*|:v[0-9][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$`, c.Image, "%s: a version", at)
			}
		}
	})
}

// What is in a Secret is nowhere else: in no argument, no ConfigMap, no plain variable.
func TestSecretsAreInSecretsOnly(t *testing.T) {
	each(t, func(t *testing.T, text []byte) {
		var secrets, rest []string
		for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
			objects, err := manifest.Parse([]byte(document))
			require.NoError(t, err)
			if len(objects) == 0 || objects[0].Kind != "Secret" {
				rest = append(rest, document)
				continue
			}
			for key, encoded := range objects[0].Data {
				value, err := base64.StdEncoding.DecodeString(encoded)
				require.NoError(t, err)
				require.NotEmpty(t, value, "%s of %s", key, objects[0].Metadata.Name)
				if key == "username" || key == "ca.crt" || key == "tls.crt" {
					continue // public
				}
				secrets = append(secrets, encoded, string(value))
			}
		}
		others := strings.Join(rest, "\n")
		for _, secret := range secrets {
			require.NotContains(t, others, secret)
		}
		// Nor anything that looks like one: DSNs with a password, keys.
		require.NotRegexp(t, `mysql://[^:\s]+:[^@\s]+@`, others)
		require.NotRegexp(t, `BEGIN [A-Z ]*PRIVATE KEY`, others)
	})
}

// However long the release's name, those of objects fit what Kubernetes makes of them: a StatefulSet's becomes a label with a
// hash, a CronJob's the name of a Job.
func TestNamesAreShortEnough(t *testing.T) {
	name := strings.Repeat("long-", 10) + "one"
	text, err := manifest.Render(t.Context(), variable(t, "HELM_BIN"), name, "trade", chart, "--values", filepath.Join(chart, "ci", "dev-redis-values.yaml"))
	require.NoError(t, err)
	objects, err := manifest.Parse(text)
	require.NoError(t, err)
	longest := map[string]int{"StatefulSet": 52, "CronJob": 52, "Service": 63, "Deployment": 63, "Job": 63, "Pod": 63}
	for _, o := range objects {
		if most := longest[o.Kind]; most > 0 {
			require.LessOrEqual(t, len(o.Metadata.Name), most, "%s %s", o.Kind, o.Metadata.Name)
		}
	}
}

// Helm 3 renders the same as Helm 4, but for what is random.
func TestHelm3RendersTheSame(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	require.NoError(t, err)
	for _, file := range files {
		var texts []string
		for _, helm := range []string{variable(t, "HELM_BIN"), variable(t, "HELM3_BIN")} {
			text, err := manifest.Render(t.Context(), helm, "shop", "trade", chart, "--values", file)
			require.NoError(t, err)
			texts = append(texts, withoutRandom(string(text)))
		}
		require.Equal(t, texts[0], texts[1], file)
	}
}

// withoutRandom leaves out Secrets' values and the date of a certificate, and empty lines, which they place differently.
func withoutRandom(text string) string {
	text = regexp.MustCompile(`\n\s*\n+`).ReplaceAllString(strings.TrimSpace(text), "\n")
	text = regexp.MustCompile(`(?m)^  [a-z.-]+: [A-Za-z0-9+/=]{16,}$`).ReplaceAllString(text, "  X")
	return regexp.MustCompile(`tcckit/renew-after: "[0-9]+"`).ReplaceAllString(text, "X")
}
