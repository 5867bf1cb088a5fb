package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr/config"
	"github.com/dtm-labs/dtm/dtmsvr/storage/registry"
	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// probePatience bounds how long a readiness check waits for the store.
	probePatience = 2 * time.Second
	// probeFresh is how long an answer of the store counts for further checks.
	probeFresh = time.Second
)

// phase is where the process is between start and end.
type phase struct{ now atomic.Int32 }

const (
	starting int32 = iota
	serving
	stopping
)

// probe returns the handler for who watches the process: nothing that could change anything.
func probe(p *phase, store *storeProbe) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context(), p, store); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.Handler())
	return mux
}

func ready(ctx context.Context, p *phase, store *storeProbe) error {
	switch p.now.Load() {
	case starting:
		return errors.New("starting")
	case stopping:
		return errors.New("stopping")
	default:
		return store.check(ctx)
	}
}

// storeProbe asks the store whether it answers, one question at a time however many ask. DTM's stores know no
// context, so an answer may never come.
type storeProbe struct {
	ping  func() error
	close func()

	mu   sync.Mutex
	last *attempt
}

// newStoreProbe has a connection of its own to a MySQL store, for DTM's ping opens a pool each time. It must be
// closed.
func newStoreProbe(s settings) (*storeProbe, error) {
	if s.dtm.Store.Driver != config.Mysql {
		return &storeProbe{ping: func() error { return registry.GetStore().Ping() }, close: func() {}}, nil
	}
	connector, err := mysql.NewConnector(mysqlConfig(s.dtm.Store))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	ping := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), storeAttemptTimeout)
		defer cancel()
		return db.PingContext(ctx)
	}
	return &storeProbe{ping: ping, close: func() { _ = db.Close() }}, nil
}

type attempt struct {
	done  chan struct{}
	err   error     // when done
	ended time.Time // when done
}

func (s *storeProbe) check(ctx context.Context) error {
	a := s.attempt()
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	select {
	case <-a.done:
		if a.err != nil {
			return fmt.Errorf("the store: %w", a.err)
		}
		return nil
	case <-ctx.Done():
		return errors.New("the store does not answer")
	}
}

// attempt returns the question that is under way, or answered just now, or a new one.
func (s *storeProbe) attempt() *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil {
		select {
		case <-s.last.done:
			if time.Since(s.last.ended) < probeFresh {
				return s.last
			}
		default:
			return s.last
		}
	}
	a := &attempt{done: make(chan struct{})}
	s.last = a
	go func() {
		defer close(a.done)
		a.err = s.ping()
		a.ended = time.Now()
	}()
	return a
}
