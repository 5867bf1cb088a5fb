package testserver

import (
	"context"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/internal/localserver"
)

// Server is a server of one test alone, which the test may kill and start again.
type Server struct {
	t      testing.TB
	server *localserver.Server
}

// StartMySQL starts a MySQL for this test, as durable as the shared one. It stops when the test ends.
// Starting takes about a second.
func StartMySQL(t testing.TB) *Server {
	t.Helper()
	return startPrivate(t, localserver.MySQL, "--innodb-buffer-pool-size=64M")
}

// StartMariaDB is StartMySQL for MariaDB.
func StartMariaDB(t testing.TB) *Server {
	t.Helper()
	return startPrivate(t, localserver.MariaDB, "--innodb-buffer-pool-size=64M")
}

// StartRedis starts a Redis for this test that loses nothing when killed. It stops when the test ends.
func StartRedis(t testing.TB) *Server {
	t.Helper()
	return startPrivate(t, localserver.Redis, "--appendfsync", "always")
}

func startPrivate(t testing.TB, kind localserver.Kind, args ...string) *Server {
	t.Helper()
	skipShort(t)
	// Not t.TempDir, whose removal fails the test when it runs before the server has ended.
	dir, err := os.MkdirTemp("", "tcckit-"+string(kind)+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := bounded()
	defer cancel()
	server, err := localserver.Start(ctx, localserver.Config{Kind: kind, Dir: dir, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &Server{t: t, server: server}
}

// Addr is the server's address, host:port, the same after a restart.
func (s *Server) Addr() string { return s.server.Addr() }

// Log returns the last lines of the server's log.
func (s *Server) Log() string { return s.server.Log() }

// Database creates an empty database on a MySQL or MariaDB and returns the configuration of a client.
func (s *Server) Database() *mysql.Config {
	s.t.Helper()
	cfg := s.server.SQL()
	own := cfg.Clone()
	own.DBName = databaseName(s.t)
	// It goes away with the server, which may be down by then.
	exec(s.t, cfg, "CREATE DATABASE `"+own.DBName+"` CHARACTER SET utf8mb4")
	return own
}

// Kill ends the server as SIGKILL or a power cut of its process would, and returns when it is gone.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.server.Kill(); err != nil {
		s.t.Fatal(err)
	}
}

// Stop ends the server in an orderly way and returns when it is gone.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.server.Stop(); err != nil {
		s.t.Fatal(err)
	}
}

// Restart starts the server after Kill or Stop, at the same address and with the same data, and returns
// when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	if err := s.server.Restart(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// bounded does not follow a test's context, which ends before the clean-up.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 4*timeout)
}
