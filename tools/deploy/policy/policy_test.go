package policy_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/tcckit/tcckit/tools/deploy/manifest"
)

// A networkPolicy is one, as far as the chart uses them.
type networkPolicy struct {
	Kind     string
	Metadata manifest.Metadata
	Spec     struct {
		PodSelector selector
		PolicyTypes []string
		Ingress     []struct {
			From  []peer
			Ports []struct{ Port int }
		}
	}
}

type selector struct {
	MatchLabels      map[string]string
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	}
}

type peer struct {
	PodSelector       *selector
	NamespaceSelector *selector
	IPBlock           any
}

// A pod is who calls or is called: its labels, and those of its namespace.
type pod struct {
	labels, namespace map[string]string
	home              bool // in the release's namespace
}

func (s selector) matches(t *testing.T, labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if labels[k] != v {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		require.Equal(t, "In", e.Operator)
		found := false
		for _, v := range e.Values {
			found = found || labels[e.Key] == v
		}
		if !found {
			return false
		}
	}
	return true
}

// admits says whether the policies let a pod of the release be called: a pod that a policy selects is called only by whom
// one of those that select it admits.
func admits(t *testing.T, policies []networkPolicy, from, to pod, port int) bool {
	selected := false
	for _, p := range policies {
		if !p.Spec.PodSelector.matches(t, to.labels) {
			continue
		}
		for _, kind := range p.Spec.PolicyTypes {
			selected = selected || kind == "Ingress"
		}
		for _, rule := range p.Spec.Ingress {
			open := len(rule.Ports) == 0
			for _, one := range rule.Ports {
				open = open || one.Port == port
			}
			known := len(rule.From) == 0
			for _, peer := range rule.From {
				known = known || peer.is(t, from)
			}
			if open && known {
				return true
			}
		}
	}
	return !selected
}

func (p peer) is(t *testing.T, from pod) bool {
	require.Nil(t, p.IPBlock)
	namespace := from.home
	if p.NamespaceSelector != nil {
		namespace = p.NamespaceSelector.matches(t, from.namespace)
	}
	return namespace && (p.PodSelector == nil || p.PodSelector.matches(t, from.labels))
}

// render returns the policies, and the labels of the pods by component.
func render(t *testing.T, args ...string) ([]networkPolicy, map[string]pod) {
	t.Helper()
	helm := os.Getenv("HELM_BIN")
	require.NotEmpty(t, helm, "HELM_BIN is not set: run deploy/test-deploy.sh")
	text, err := manifest.Render(t.Context(), helm, "shop", "trade", "../../../deploy/helm/tcckit", args...)
	require.NoError(t, err)
	var policies []networkPolicy
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
		var p networkPolicy
		if err := yaml.Unmarshal([]byte(document), &p); err == nil && p.Kind == "NetworkPolicy" {
			policies = append(policies, p)
		}
	}
	objects, err := manifest.Parse(text)
	require.NoError(t, err)
	pods := make(map[string]pod)
	for _, o := range objects {
		if template, ok := o.PodTemplate(); ok {
			labels := template.Metadata.Labels
			pods[labels["app.kubernetes.io/component"]] = pod{labels: labels, home: true}
		}
	}
	pods["stranger"] = pod{labels: map[string]string{"app": "other"}, home: true}
	pods["elsewhere"] = pod{labels: pods["order"].labels, namespace: map[string]string{"kubernetes.io/metadata.name": "other"}}
	pods["prometheus"] = pod{namespace: map[string]string{"kubernetes.io/metadata.name": "monitoring"}}
	return policies, pods
}

// Who reaches whom, on which port: nobody else does.
func TestOnlyWhoIsListedGetsIn(t *testing.T) {
	policies, pods := render(t, "--set", "dev.enabled=true", "--set", "console.enabled=true", "--set", "dtm.store.driver=redis")
	services := []string{"order", "account", "stock", "cart", "dispatch", "express", "bank-north", "bank-south"}
	within := make([]string, 0, len(pods)) // the namespace
	for name, p := range pods {
		if p.home {
			within = append(within, name)
		}
	}
	type door struct {
		to   string
		port int
	}
	allowed := map[door][]string{
		{"dtm", 36789}: {"order"},
		{"dtm", 36790}: {"order"},
		{"dtm", 36791}: within,
		{"dtm", 36792}: {"prometheus"},

		{"order", 7402}:   {"dtm", "order", "dispatch"},
		{"account", 7402}: {"dtm", "order", "test"},
		{"stock", 7402}:   {"dtm", "order", "test"},

		{"mysql", 3306}:            append([]string{"dtm", "sweep"}, services...),
		{"redis", 6379}:            {"dtm"},
		{"rocketmq", 9876}:         append([]string{"rocketmq-broker"}, services...),
		{"rocketmq-broker", 10911}: services,
		{"rocketmq-broker", 10909}: services,
	}
	for _, name := range services {
		allowed[door{name, 7401}] = within
		allowed[door{name, 7403}] = []string{"prometheus"}
	}
	for to := range pods {
		if to == "stranger" || to == "elsewhere" || to == "prometheus" {
			continue
		}
		for _, port := range []int{7401, 7402, 7403, 7404, 36789, 36790, 36791, 36792, 3306, 6379, 9876, 10909, 10911, 10912} {
			for from := range pods {
				want := false
				for _, name := range allowed[door{to, port}] {
					want = want || name == from
				}
				if to == "mysql" && port == 3306 && from == "migrate" {
					want = true
				}
				if got := admits(t, policies, pods[from], pods[to], port); got != want {
					t.Errorf("%s calls %s on %d: admitted %t, want %t", from, to, port, got, want)
				}
			}
		}
	}
}

// The values widen it.
func TestPeersOfTheValues(t *testing.T) {
	policies, pods := render(t, "--set", "dev.enabled=true",
		"--set-json", "networkPolicy.public.from=[]", "--set", "networkPolicy.dtm.extraFrom[0].podSelector.matchLabels.app=other")
	require.True(t, admits(t, policies, pods["stranger"], pods["dtm"], 36790))
	require.False(t, admits(t, policies, pods["elsewhere"], pods["dtm"], 36790))
	require.False(t, admits(t, policies, pods["stranger"], pods["order"], 7401))
	require.True(t, admits(t, policies, pods["test"], pods["order"], 7401))
}
