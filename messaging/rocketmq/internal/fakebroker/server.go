package fakebroker

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/tcckit/tcckit/internal/remoting" //nolint:depguard // only tests link this package
)

const (
	clusterName = "fake"
	brokerName  = "fake-broker"
)

// Server is a name server and a broker. Its methods may be called concurrently.
type Server struct {
	listener net.Listener
	done     chan struct{}
	wg       sync.WaitGroup

	mu       sync.Mutex
	handlers map[Request]Handler
	received map[Request][]remoting.Command
	conns    map[*connection]struct{}
	store    store
}

// Start starts a server with topics of one queue each. The test's end closes it.
func Start(t testing.TB, topics ...string) *Server {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		listener: l,
		done:     make(chan struct{}),
		handlers: map[Request]Handler{},
		received: map[Request][]remoting.Command{},
		conns:    map[*connection]struct{}{},
		store:    newStore(),
	}
	// A broker has a topic of its own name, too.
	for _, topic := range append(topics, brokerName) {
		s.AddTopic(topic, 1)
	}
	s.wg.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Addr is the server's address, host:port, as name server and as broker.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// On has requests of a kind answered by h from now on; nil: as a well-behaved
// server does.
func (s *Server) On(r Request, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[r] = h
}

// Received returns the requests of a kind that came so far.
func (s *Server) Received(r Request) []remoting.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]remoting.Command(nil), s.received[r]...)
}

// DropConnections closes the connections of all clients. New ones are accepted.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.close()
	}
}

// Close closes the server and all connections. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.DropConnections()
	s.wg.Wait()
}

func (s *Server) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &connection{conn: raw}
		s.mu.Lock()
		if s.isClosed() {
			s.mu.Unlock()
			_ = raw.Close()
			return
		}
		s.conns[c] = struct{}{}
		s.wg.Go(func() { s.serve(c) })
		s.mu.Unlock()
	}
}

// serve reads requests and answers each on a goroutine of its own, as a broker
// does: one that is left lying holds up no other.
func (s *Server) serve(c *connection) {
	defer func() {
		c.close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for {
		cmd, err := remoting.Read(c.conn)
		if err != nil {
			return
		}
		if cmd.IsResponse() {
			continue
		}
		request := Request(cmd.Code)
		s.mu.Lock()
		s.received[request] = append(s.received[request], cmd)
		handler := s.handlers[request]
		s.mu.Unlock()
		if handler == nil {
			handler = Default
		}
		call := &Call{Command: cmd, server: s, conn: c}
		s.wg.Go(func() { handler(call) })
	}
}

// connection is that of one client.
type connection struct {
	conn net.Conn
	mu   sync.Mutex // held while writing

	groups []string // of its producers and consumers, by its last heartbeat; guarded by Server.mu
	id     string   // of the client; guarded by Server.mu
}

// write sends a command. A client that has gone does not get it.
func (c *connection) write(cmd remoting.Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = remoting.Write(c.conn, cmd)
}

func (c *connection) close() { _ = c.conn.Close() }

// number reads a field that is a number; one that is missing is 0.
func number(fields map[string]string, name string) int64 {
	n, _ := strconv.ParseInt(fields[name], 10, 64)
	return n
}
