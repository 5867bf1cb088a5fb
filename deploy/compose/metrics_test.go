package compose_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkMetrics scrapes as Prometheus does, until all is there of which alerts and dashboard speak.
func (w *world) checkMetrics(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		found := make(exported)
		for _, target := range w.targets(t) {
			text, err := scrape(t.Context(), target)
			if assert.NoError(c, err) {
				found.add(text)
			}
		}
		assert.Empty(c, found.missing(t))
	}, bound, time.Second, "metrics of which alerts or dashboard speak are not exported")
}

// targets are those of compose/prometheus.yml.
func (w *world) targets(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, target := range prometheusTargets(t) {
		name, port, err := net.SplitHostPort(target)
		require.NoError(t, err)
		require.Contains(t, w.containers, name, "Prometheus scrapes what is not in the compose file")
		all = append(all, net.JoinHostPort(w.containers[name].addr, port))
	}
	require.Len(t, all, len(w.serving), "Prometheus scrapes everything that serves")
	return all
}

func scrape(ctx context.Context, target string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", target, resp.Status, strings.TrimSpace(string(text)))
	}
	return text, err
}
