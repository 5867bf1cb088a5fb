package compose_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	alertsFile    = "../helm/tcckit/files/alerts.yaml"
	dashboardFile = "../helm/tcckit/files/dashboard.json"
	runbooks      = "../../docs/alerts.md"
)

// query is an expression of an alert or a panel.
type query struct{ of, expr string }

func TestEveryAlertParsesAndHasItsRunbook(t *testing.T) {
	text, err := os.ReadFile(runbooks)
	require.NoError(t, err)
	var anchors []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		anchors = append(anchors, strings.ToLower(strings.ReplaceAll(heading[1], " ", "-")))
	}
	rules := 0
	for _, group := range alerts(t).Groups {
		for _, rule := range group.Rules {
			rules++
			url, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
			assert.Equal(t, "https://github.com/tcckit/tcckit/blob/main/docs/alerts.md", url, rule.Alert)
			assert.Contains(t, anchors, anchor, rule.Alert)
			assert.Contains(t, []string{"warning", "critical"}, rule.Labels["severity"], rule.Alert)
			assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			assert.Contains(t, string(text), "    "+rule.Expr+"\n", "%s: docs/alerts.md has another expression", rule.Alert)
		}
	}
	assert.Positive(t, rules)
}

// Links within docs lead somewhere.
func TestTheRunbooksLinksLeadSomewhere(t *testing.T) {
	text, err := os.ReadFile(runbooks)
	require.NoError(t, err)
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)#?([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		target, err := os.ReadFile(filepath.Join("../../docs", link[1]))
		require.NoError(t, err)
		if link[2] == "" {
			continue
		}
		heading := strings.ReplaceAll(link[2], "-", " ")
		assert.Regexp(t, `(?mi)^#+ `+regexp.QuoteMeta(heading)+`$`, string(target), link[0])
	}
}

func alerts(t *testing.T) *rulefmt.RuleGroups {
	t.Helper()
	content, err := os.ReadFile(alertsFile)
	require.NoError(t, err)
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	return groups
}

// queries are all of the alerts and of the dashboard.
func queries(t *testing.T) []query {
	t.Helper()
	var all []query
	for _, group := range alerts(t).Groups {
		for _, rule := range group.Rules {
			all = append(all, query{of: rule.Alert, expr: rule.Expr})
		}
	}
	content, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(content, &dashboard))
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{of: "panel " + panel.Title, expr: strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")})
		}
	}
	require.Greater(t, len(all), 30)
	return all
}

// names are the metrics and the labels that a query speaks of.
func (q query) names(t *testing.T) (metrics, labels []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(q.expr)
	require.NoError(t, err, q.of)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			metrics = append(metrics, n.Name)
			for _, m := range n.LabelMatchers {
				labels = append(labels, m.Name)
			}
		case *parser.AggregateExpr:
			labels = append(labels, n.Grouping...)
		}
		return nil
	})
	// Prometheus adds these itself.
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == model.MetricNameLabel || l == "job" || l == "instance" })
	return metrics, labels
}

// exported is what processes answer to /metrics: the names of metrics, as queries have them, and of the labels of
// each.
type exported map[string]map[string]bool

var series = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)

func (e exported) add(text []byte) {
	for line := range bytes.Lines(text) {
		m := series.FindSubmatch(bytes.TrimSpace(line))
		if m == nil {
			continue
		}
		name := string(m[1])
		if e[name] == nil {
			e[name] = make(map[string]bool)
		}
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllSubmatch(m[2], -1) {
			e[name][string(label[1])] = true
		}
	}
}

// rare are metrics that appear with what they count, none of which happens in a shop that works.
func rare() []string {
	return []string{
		"tcckit_branch_refused_total", "tcckit_barrier_stuck", "tcckit_barrier_resolutions_total", "tcckit_outbox_failed_total",
		"tcckit_tls_reload_failures_total",
	}
}

// missing are the names that queries speak of and nobody exports.
func (e exported) missing(t *testing.T) []string {
	t.Helper()
	var wrong []string
	for _, q := range queries(t) {
		metrics, labels := q.names(t)
		known := make(map[string]bool)
		skip := false
		for _, metric := range metrics {
			if metric == "up" || strings.HasPrefix(metric, "kube_") { // Prometheus' own, and kube-state-metrics'
				skip = true
				continue
			}
			if slices.Contains(rare(), metric) {
				skip = true
				continue
			}
			if e[metric] == nil {
				wrong = append(wrong, q.of+": "+metric)
			}
			for label := range e[metric] {
				known[label] = true
			}
		}
		for _, label := range labels {
			if !known[label] && !skip {
				wrong = append(wrong, q.of+": label "+label)
			}
		}
	}
	return wrong
}

// What does not happen in a shop that works is at least declared by the code.
func TestRareMetricsAreDeclared(t *testing.T) {
	var declared []string
	for _, folder := range []string{"barrier", "internal", "messaging"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("../..", folder), func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(`(Counter|Gauge|Histogram)\("(tcckit\.[a-z_.]+)"`).FindAllStringSubmatch(string(text), -1) {
				name := strings.ReplaceAll(m[2], ".", "_")
				if m[1] == "Counter" {
					name += "_total"
				}
				declared = append(declared, name)
			}
			return err
		}))
	}
	for _, name := range rare() {
		assert.Contains(t, declared, name)
	}
}
