package fakebroker

import (
	"slices"
	"strconv"
)

// store is what the broker keeps. The server's mutex guards it.
type store struct {
	topics  map[string][][]Message // by topic and queue
	offsets map[string]int64
	halves  []*half
	written int64         // how many messages
	arrived chan struct{} // closed at the next message
}

func newStore() store {
	return store{topics: map[string][][]Message{}, offsets: map[string]int64{}, arrived: make(chan struct{})}
}

func (st *store) resize(topic string, queues int) {
	st.topics[topic] = slices.Grow(st.topics[topic], queues)
	for len(st.topics[topic]) < queues {
		st.topics[topic] = append(st.topics[topic], nil)
	}
}

// queue returns the messages of a queue, none for one that does not exist.
func (st *store) queue(topic string, queue int) []Message {
	if queue < 0 || queue >= len(st.topics[topic]) {
		return nil
	}
	return st.topics[topic][queue]
}

// position gives the next message its place.
func (st *store) position() int64 {
	st.written++
	return st.written * 1024
}

func (st *store) append(m Message) {
	m.Offset = int64(len(st.topics[m.Topic][m.Queue]))
	st.topics[m.Topic][m.Queue] = append(st.topics[m.Topic][m.Queue], m)
	close(st.arrived)
	st.arrived = make(chan struct{})
}

// Messages returns what consumers can read of a topic, queue by queue.
func (s *Server) Messages(topic string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.store.topics[topic]...)
}

// The bits of a message's system flag that say where its transaction stands.
const (
	flagCommit   = 2 << 2
	flagRollback = 3 << 2
	flagPrepared = 1 << 2
)

// send stores messages.
func (s *Server) send(c *Call, success Outcome) {
	name := map[string]string{"topic": "topic", "queueId": "queueId", "sysFlag": "sysFlag", "properties": "properties", "bornTimestamp": "bornTimestamp"}
	if Request(c.Code) != Send {
		name = map[string]string{"topic": "b", "queueId": "e", "sysFlag": "f", "properties": "i", "bornTimestamp": "g"}
	}
	topic, queue := c.Fields[name["topic"]], int(number(c.Fields, name["queueId"]))
	messages := []Message{{Body: c.Body, properties: c.Fields[name["properties"]]}}
	if Request(c.Code) == SendBatch {
		var err error
		if messages, err = splitBatch(c.Body); err != nil {
			Refuse(MessageIllegal, err.Error())(c)
			return
		}
	}
	s.mu.Lock()
	if queue < 0 || queue >= len(s.store.topics[topic]) {
		s.mu.Unlock()
		Refuse(TopicUnknown, "topic["+topic+"] not exist")(c)
		return
	}
	var first Message
	for i, m := range messages {
		m.Topic, m.Queue = topic, queue
		m.Properties = parseProperties(m.properties)
		m.sysFlag = int32(number(c.Fields, name["sysFlag"]))
		m.born = number(c.Fields, name["bornTimestamp"])
		m.position = s.store.position()
		if i == 0 {
			first = m
		}
		if m.sysFlag&flagRollback == flagPrepared {
			s.store.halves = append(s.store.halves, &half{message: m, index: int64(len(s.store.halves))})
			first.Offset = int64(len(s.store.halves) - 1)
		} else {
			s.store.append(m)
			first.Offset = int64(len(s.store.topics[topic][queue])) - int64(i) - 1
		}
	}
	s.mu.Unlock()
	c.Answer(success, map[string]string{
		"msgId": offsetID(first.position), "queueId": strconv.Itoa(queue), "queueOffset": strconv.FormatInt(first.Offset, 10),
		"transactionId": first.Properties[propertyUniqueKey],
	}, nil)
}

const (
	// propertyUniqueKey is the client's id of a message.
	propertyUniqueKey = "UNIQ_KEY"
	// propertyGroup is whom to ask about a half message.
	propertyGroup = "PGROUP"
)
