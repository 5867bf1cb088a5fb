package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/tcckit/tcckit/cmd/dtm-server/htpasswd"
)

// maxConsoleRequest bounds the body of a request of the console, a gid in JSON.
const maxConsoleRequest = 64 << 10

// open reads the password file.
func (s consoleSettings) open() (*htpasswd.File, error) {
	file, err := htpasswd.Open(s.passwordFile, func(err error) { warn("CONSOLE_PASSWORD_FILE", err) })
	if err != nil {
		return nil, fmt.Errorf("CONSOLE_PASSWORD_FILE: %w", err)
	}
	return file, nil
}

// serveConsole serves the console of api on its own listener.
func (h *host) serveConsole(api http.Handler) error {
	s := h.settings.console
	base := h.settings.dtm.AdminBasePath
	handler := withPassword(h.password, belowBase(base, sameOrigin(consoleOnly(base, api))))
	if h.identity == nil || s.plaintext {
		return h.listeners.serveHTTP("CONSOLE_ADDR", s.addr, handler, nil)
	}
	return h.listeners.serveHTTP("CONSOLE_ADDR", s.addr, handler, h.identity.Server(false, "h2", "http/1.1"))
}

// consoleCalls are what the console's pages call (admin/src/api/api_dtm.ts in DTM), each with DTM's path.
func consoleCalls() []string {
	return []string{
		"GET /api/dtmsvr/version", "GET /api/dtmsvr/all", "GET /api/dtmsvr/query",
		"POST /api/dtmsvr/forceStop", "POST /api/dtmsvr/resetNextCronTime",
		"GET /api/dtmsvr/queryKV", "GET /api/dtmsvr/scanKV",
		"GET /api/dtmsvr/subscribe", "GET /api/dtmsvr/unsubscribe", "DELETE /api/dtmsvr/topic/{name}",
	}
}

// consoleOnly passes on the console's pages under basePath and what they call, and nothing else of the API.
func consoleOnly(basePath string, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, page := range []string{"/{$}", "/admin/", "/assets/", "/favicon.ico"} {
		mux.Handle("GET "+basePath+page, api)
	}
	calls := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxConsoleRequest)
		api.ServeHTTP(w, r)
	})
	for _, call := range consoleCalls() {
		mux.Handle(call, calls)
	}
	return mux
}

// withPassword serves those who give a password of the file.
func withPassword(file *htpasswd.File, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, given := r.BasicAuth()
		if given {
			right, err := file.Verify(r.Context(), user, password)
			if errors.Is(err, htpasswd.ErrBusy) {
				w.Header().Set("Retry-After", "1")
				http.Error(w, err.Error(), http.StatusTooManyRequests)
				return
			}
			if right {
				next.ServeHTTP(w, r)
				return
			}
			if err == nil {
				warn("console", fmt.Errorf("wrong password or unknown user: %.100q from %s", user, r.RemoteAddr))
			}
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="DTM console", charset="UTF-8"`)
		http.Error(w, "the console needs a user and a password", http.StatusUnauthorized)
	})
}

// sameOrigin refuses what pages of other origins send, for a browser adds the password, or reaches loopback, for
// them too: a POST of any content type does for DTM, and of its GETs some change things.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r
		switch r.URL.Path {
		case "/api/dtmsvr/subscribe", "/api/dtmsvr/unsubscribe", "/api/dtmsvr/resetCronTime":
			asked = r.Clone(r.Context())
			asked.Method = http.MethodPost
		}
		if err := protection.Check(asked); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
