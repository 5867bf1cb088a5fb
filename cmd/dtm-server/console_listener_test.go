package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// passedOn is an API that says what reached it.
func passedOn(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte(r.Method + " " + r.URL.Path))
}

func ask(t *testing.T, handler http.Handler, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader("{}"))
	if change != nil {
		change(request)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

func TestTheConsoleListenerServesTheConsoleAlone(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/dtm"} {
		handler := belowBase(base, sameOrigin(consoleOnly(base, http.HandlerFunc(passedOn))))
		for _, call := range append(consoleCalls(), "GET "+base+"/", "GET "+base+"/admin/kv/topics", "GET "+base+"/assets/a.js", "GET "+base+"/favicon.ico") {
			method, path, _ := strings.Cut(strings.Replace(call, "{name}", "t", 1), " ")
			answer := ask(t, handler, method, path, nil)
			require.Equal(t, http.StatusOK, answer.Code, call)
			require.Equal(t, method+" "+path, answer.Body.String())
			if strings.HasPrefix(path, "/api/") {
				require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
				require.Equal(t, method+" "+path, ask(t, handler, method, base+path, nil).Body.String(), "below its base path, too")
			}
		}
		for _, call := range []string{
			"POST /api/dtmsvr/submit", "POST /api/dtmsvr/abort", "POST /api/dtmsvr/prepare", "POST /api/dtmsvr/registerBranch",
			"POST /api/dtmsvr/registerTccBranch", "POST /api/dtmsvr/prepareWorkflow", "GET /api/dtmsvr/newGid", "GET /api/dtmsvr/resetCronTime",
			"POST /api/json-rpc", "GET /api/metrics", "GET /api/ping", "POST /api/dtmsvr/all", "GET /api/dtmsvr/forceStop", "GET /metrics",
			"GET /api/dtmsvr/../dtmsvr/newGid", "POST " + base + "/", "GET /api", "GET /debug/pprof/", "GET /api/dtmsvr/all/x",
		} {
			method, path, _ := strings.Cut(call, " ")
			require.NotEqual(t, http.StatusOK, ask(t, handler, method, path, nil).Code, call)
			require.NotEqual(t, http.StatusOK, ask(t, handler, method, base+path, nil).Code, call)
		}
	}
}

func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	handler := sameOrigin(http.HandlerFunc(passedOn))
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, call := range []string{"POST /api/dtmsvr/forceStop", "DELETE /api/dtmsvr/topic/t", "GET /api/dtmsvr/subscribe", "GET /api/dtmsvr/unsubscribe", "GET /api/dtmsvr/resetCronTime"} {
		method, path, _ := strings.Cut(call, " ")
		require.Equal(t, http.StatusForbidden, ask(t, handler, method, path, crossSite).Code, call)
		require.Equal(t, method+" "+path, ask(t, handler, method, path, nil).Body.String(), "who is no browser")
		require.Equal(t, http.StatusOK, ask(t, handler, method, path, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }).Code)
	}
	require.Equal(t, http.StatusOK, ask(t, handler, http.MethodGet, "/api/dtmsvr/all", crossSite).Code, "a link to a page")
}

func TestWithPassword(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "users")
	require.NoError(t, os.WriteFile(path, append([]byte("ops:"), hash...), 0o600))
	file, err := consoleSettings{passwordFile: path}.open()
	require.NoError(t, err)
	handler := withPassword(file, http.HandlerFunc(passedOn))
	require.Equal(t, http.StatusOK, ask(t, handler, "GET", "/", func(r *http.Request) { r.SetBasicAuth("ops", "right") }).Code)
	for name, change := range map[string]func(*http.Request){
		"none":         nil,
		"wrong":        func(r *http.Request) { r.SetBasicAuth("ops", "wrong") },
		"empty":        func(r *http.Request) { r.SetBasicAuth("ops", "") },
		"unknown user": func(r *http.Request) { r.SetBasicAuth("root", "right") },
		"no basic":     func(r *http.Request) { r.Header.Set("Authorization", "Bearer right") },
		"nonsense":     func(r *http.Request) { r.Header.Set("Authorization", "Basic !!!") },
	} {
		answer := ask(t, handler, "GET", "/", change)
		require.Equal(t, http.StatusUnauthorized, answer.Code, name)
		require.Contains(t, answer.Header().Get("WWW-Authenticate"), `Basic realm="DTM console"`)
		require.NotContains(t, answer.Body.String(), "GET")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	answer := ask(t, handler, "GET", "/", func(r *http.Request) { r.SetBasicAuth("ops", "wrong"); *r = *r.WithContext(gone) })
	require.NotEqual(t, http.StatusOK, answer.Code)
}
