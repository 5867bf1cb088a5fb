package fakebroker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// answer does what a request asks for.
func (s *Server) answer(c *Call) { s.answerWith(c, Success) }

// answerWith says success instead of Success, where it has done something.
func (s *Server) answerWith(c *Call, success Outcome) {
	switch Request(c.Code) {
	case Route:
		s.answerRoute(c)
	case ClusterInfo:
		c.Answer(success, nil, s.clusterInfo())
	case Heartbeat:
		s.beat(c)
		c.Answer(success, nil, nil)
	case Send, SendV2, SendBatch:
		s.send(c, success)
	case Pull:
		s.pull(c)
	case EndTransaction:
		s.endTransaction(c)
		c.Answer(success, nil, nil)
	case QueryOffset:
		s.queryOffset(c)
	case UpdateOffset:
		s.mu.Lock()
		s.store.offsets[offsetKey(c.Fields)] = number(c.Fields, "commitOffset")
		s.mu.Unlock()
		c.Answer(success, nil, nil)
	case MaxOffset:
		s.mu.Lock()
		n := len(s.store.queue(c.Fields["topic"], int(number(c.Fields, "queueId"))))
		s.mu.Unlock()
		c.Answer(success, map[string]string{"offset": strconv.Itoa(n)}, nil)
	case MinOffset, SearchOffset:
		c.Answer(success, map[string]string{"offset": "0"}, nil)
	case ConsumersOf:
		body, _ := json.Marshal(map[string]any{"consumerIdList": s.clientsOf(c.Fields["consumerGroup"])}) //nolint:errchkjson // strings
		c.Answer(success, nil, body)
	case LockQueues:
		s.lockQueues(c)
	case CreateTopic:
		s.AddTopic(c.Fields["topic"], int(number(c.Fields, "writeQueueNums")))
		c.Answer(success, nil, nil)
	case Unregister, SendBack, UnlockQueues:
		c.Answer(success, nil, nil)
	default:
		Refuse(Unsupported, fmt.Sprintf("request code %d is not supported", c.Code))(c)
	}
}

// AddTopic makes a topic, or changes the number of its queues.
func (s *Server) AddTopic(topic string, queues int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.resize(topic, queues)
}

type brokerData struct {
	Cluster     string            `json:"cluster"`
	BrokerName  string            `json:"brokerName"`
	BrokerAddrs map[string]string `json:"brokerAddrs"`
}

func (s *Server) broker() brokerData {
	return brokerData{clusterName, brokerName, map[string]string{"0": s.Addr()}}
}

func (s *Server) answerRoute(c *Call) {
	s.mu.Lock()
	queues := len(s.store.topics[c.Fields["topic"]])
	s.mu.Unlock()
	if queues == 0 {
		Refuse(TopicUnknown, "No topic route info in name server for the topic: "+c.Fields["topic"])(c)
		return
	}
	body, _ := json.Marshal(map[string]any{ //nolint:errchkjson // strings and numbers
		"queueDatas":  []map[string]any{{"brokerName": brokerName, "readQueueNums": queues, "writeQueueNums": queues, "perm": 6, "topicSysFlag": 0}},
		"brokerDatas": []brokerData{s.broker()},
	})
	c.Answer(Success, nil, body)
}

func (s *Server) clusterInfo() []byte {
	body, _ := json.Marshal(map[string]any{ //nolint:errchkjson // strings
		"brokerAddrTable":  map[string]brokerData{brokerName: s.broker()},
		"clusterAddrTable": map[string][]string{clusterName: {brokerName}},
	})
	return body
}

// beat remembers who is behind a connection.
func (s *Server) beat(c *Call) {
	type group struct {
		Name string `json:"groupName"`
	}
	var data struct {
		ClientID  string  `json:"clientID"`
		Producers []group `json:"producerDataSet"`
		Consumers []group `json:"consumerDataSet"`
	}
	_ = json.Unmarshal(c.Body, &data)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.conn.id, c.conn.groups = data.ClientID, nil
	for _, g := range append(data.Producers, data.Consumers...) {
		c.conn.groups = append(c.conn.groups, g.Name)
	}
}

// Clients returns the ids of the clients whose heartbeats named a group of
// producers or consumers, sorted.
func (s *Server) Clients(group string) []string { return s.clientsOf(group) }

func (s *Server) clientsOf(group string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := map[string]bool{}
	for c := range s.conns {
		if slices.Contains(c.groups, group) {
			ids[c.id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

func offsetKey(fields map[string]string) string {
	return fields["consumerGroup"] + "/" + fields["topic"] + "/" + fields["queueId"]
}

func (s *Server) queryOffset(c *Call) {
	s.mu.Lock()
	offset, ok := s.store.offsets[offsetKey(c.Fields)]
	s.mu.Unlock()
	if !ok {
		Refuse(QueryNotFound, "no offset")(c)
		return
	}
	c.Answer(Success, map[string]string{"offset": strconv.FormatInt(offset, 10)}, nil)
}

// Committed returns the offset that a group has committed for a queue, 0 if
// none.
func (s *Server) Committed(group, topic string, queue int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.offsets[offsetKey(map[string]string{"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(queue)})]
}

// lockQueues gives every queue to whoever asks.
func (s *Server) lockQueues(c *Call) {
	var body struct {
		Queues json.RawMessage `json:"mqSet"`
	}
	_ = json.Unmarshal(c.Body, &body)
	answer, _ := json.Marshal(map[string]any{"lockOKMQSet": body.Queues}) //nolint:errchkjson // as it came
	c.Answer(Success, nil, answer)
}

// pullWait is how long a pull waits for a message at most.
const pullWait = time.Second

func (s *Server) pull(c *Call) {
	topic, queue, offset := c.Fields["topic"], int(number(c.Fields, "queueId")), number(c.Fields, "queueOffset")
	timer := time.NewTimer(min(pullWait, time.Duration(number(c.Fields, "suspendTimeoutMillis"))*time.Millisecond))
	defer timer.Stop()
	for {
		s.mu.Lock()
		all, arrived := s.store.queue(topic, queue), s.store.arrived
		s.mu.Unlock()
		fields := func(next int64) map[string]string {
			return map[string]string{
				"minOffset": "0", "maxOffset": strconv.Itoa(len(all)), "suggestWhichBrokerId": "0",
				"nextBeginOffset": strconv.FormatInt(next, 10),
			}
		}
		n := int64(len(all))
		switch {
		case offset > n:
			c.Answer(PullOffsetMoved, fields(n), nil)
			return
		case offset < n:
			next := min(n, offset+max(1, number(c.Fields, "maxMsgNums")))
			var body []byte
			for _, m := range all[offset:next] {
				body = m.encode(body)
			}
			c.Answer(Success, fields(next), body)
			return
		}
		select {
		case <-arrived:
		case <-timer.C:
			c.Answer(PullNotFound, fields(offset), nil)
			return
		case <-s.done:
			return
		}
	}
}
