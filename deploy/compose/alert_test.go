package compose_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// minutes holds series, one sample a minute, in the memory of the test. Prometheus' engine queries it.
type minutes []promql.Series

// newMinutes reads series as promtool's tests write them: metric{label="value"} 0x9 1+2x20 _x5.
func newMinutes(t *testing.T, descriptions []string) minutes {
	t.Helper()
	var all minutes
	for _, text := range descriptions {
		metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(text)
		require.NoError(t, err, text)
		series := promql.Series{Metric: metric}
		for minute, v := range values {
			if !v.Omitted {
				series.Floats = append(series.Floats, promql.FPoint{T: atMinute(minute).UnixMilli(), F: v.Value})
			}
		}
		all = append(all, series)
	}
	return all
}

func atMinute(n int) time.Time { return time.Unix(0, 0).Add(time.Duration(n) * time.Minute) }

// Querier implements storage.Queryable.
func (m minutes) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		found := new(seriesSet)
		for _, series := range m {
			if matches(series.Metric, matchers) {
				found.left = append(found.left, series)
			}
		}
		return found
	}}, nil
}

// seriesSet is what a query found.
type seriesSet struct {
	left []promql.Series // after the one that it is at
	at   promql.Series
}

// Next implements storage.SeriesSet, as the methods after it do.
func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.at, s.left = s.left[0], s.left[1:]
	return true
}

func (s *seriesSet) At() storage.Series              { return promql.NewStorageSeries(s.at) }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

func matches(metric labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(metric.Get(m.Name)) {
			return false
		}
	}
	return true
}

// firing is when an alert fires, minutes since the begin, and what it says then.
type firing struct {
	from, to int
	summary  string
}

// watch evaluates a rule every minute, as Prometheus does: an alert fires when its expression has had a result with
// the same labels all the time that the rule says. It returns one firing for each time that this was so.
func (m minutes) watch(t *testing.T, rule *rulefmt.Rule, until int) []*firing {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	defer func() { require.NoError(t, engine.Close()) }()
	var all []*firing
	pending := make(map[string]int) // since which minute, by labels
	active := make(map[string]*firing)
	for minute := range until + 1 {
		now := make(map[string]bool)
		for _, sample := range m.query(t, engine, rule.Expr, minute) {
			key := sample.Metric.DropReserved(func(name string) bool { return name == model.MetricNameLabel }).String()
			now[key] = true
			since, ok := pending[key]
			if !ok {
				pending[key], since = minute, minute
			}
			if active[key] == nil && time.Duration(minute-since)*time.Minute >= time.Duration(rule.For) {
				active[key] = &firing{from: minute, summary: expand(t, rule.Annotations["summary"], sample)}
				all = append(all, active[key])
			}
			if active[key] != nil {
				active[key].to = minute
			}
		}
		for key := range pending {
			if !now[key] {
				delete(pending, key)
				delete(active, key)
			}
		}
	}
	return all
}

func (m minutes) query(t *testing.T, engine *promql.Engine, expr string, minute int) promql.Vector {
	t.Helper()
	q, err := engine.NewInstantQuery(t.Context(), m, nil, expr, atMinute(minute))
	require.NoError(t, err)
	defer q.Close()
	result := q.Exec(t.Context())
	require.NoError(t, result.Err)
	vector, err := result.Vector()
	require.NoError(t, err)
	return append(promql.Vector(nil), vector...)
}

// expand fills an annotation in.
func expand(t *testing.T, text string, sample promql.Sample) string {
	t.Helper()
	data := template.AlertTemplateData(sample.Metric.Map(), nil, "", sample)
	none := func(context.Context, string, time.Time) (promql.Vector, error) { return nil, nil }
	expanded, err := template.NewTemplateExpander(t.Context(), "{{$labels := .Labels}}{{$value := .Value}}"+text, "alert", data,
		model.Time(sample.T), none, &url.URL{}, []string{"missingkey=error"}).Expand()
	require.NoError(t, err, text)
	return expanded
}
