package fakebroker

import (
	"slices"
	"strconv"

	"github.com/tcckit/tcckit/internal/remoting" //nolint:depguard // only tests link this package
)

// half is a message that awaits its transaction's outcome.
type half struct {
	message Message
	index   int64 // its offset in the queue of half messages
	ended   int64 // flagCommit, flagRollback or 0
}

// Halves returns the half messages that nobody has committed or rolled back.
func (s *Server) Halves() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []Message
	for _, h := range s.store.halves {
		if h.ended == 0 {
			open = append(open, h.message)
		}
	}
	return open
}

// endTransaction makes a half message visible, or drops it. "Unknown" changes
// nothing.
func (s *Server) endTransaction(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index, outcome := number(c.Fields, "tranStateTableOffset"), number(c.Fields, "commitOrRollback")
	if index < 0 || index >= int64(len(s.store.halves)) {
		return
	}
	h := s.store.halves[index]
	if h.ended != 0 || h.message.position != number(c.Fields, "commitLogOffset") || (outcome != flagCommit && outcome != flagRollback) {
		return
	}
	if h.ended = outcome; outcome == flagCommit {
		s.store.append(h.message)
	}
}

// Check asks a client with a producer of the group about all half messages of
// that group that are still open. It returns how many requests were sent: none,
// if no client with such a producer is connected.
func (s *Server) Check(group string) int {
	s.mu.Lock()
	var to *connection
	for c := range s.conns {
		if slices.Contains(c.groups, group) {
			to = c
			break
		}
	}
	var requests []remoting.Command
	for _, h := range s.store.halves {
		if to == nil || h.ended != 0 || h.message.Properties[propertyGroup] != group {
			continue
		}
		key := h.message.Properties[propertyUniqueKey]
		requests = append(requests, remoting.Command{
			Code: checkHalf, Opaque: int32(checkHalfOpaque + h.index), Flag: remoting.FlagOneway,
			Fields: map[string]string{
				"tranStateTableOffset": strconv.FormatInt(h.index, 10),
				"commitLogOffset":      strconv.FormatInt(h.message.position, 10),
				"msgId":                key, "transactionId": key, "offsetMsgId": offsetID(h.message.position),
			},
			Body: h.message.encode(nil),
		})
	}
	s.mu.Unlock()
	for _, r := range requests {
		to.write(r)
	}
	return len(requests)
}
