package remoting

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// master is the id of the broker of a name that takes messages.
const master = "0"

// Route says where a topic lies. The zero Route is that of a topic which no
// broker has.
type Route struct {
	// Queues are in the order of broker and number.
	Queues []Queue
}

// Queue is one queue of a topic, on the broker at Addr.
type Queue struct {
	Broker, Addr string
	ID           int
}

type broker struct {
	Name  string            `json:"brokerName"`
	Addrs map[string]string `json:"brokerAddrs"`
}

// Route asks the name server at addr for a topic's.
func (c Client) Route(ctx context.Context, addr, topic string) (Route, error) {
	resp, err := c.call(ctx, addr, codeRoute, map[string]string{"topic": topic, "acceptStandardJsonOnly": "true"}, codeTopicUnknown)
	if err != nil || resp.Code == codeTopicUnknown {
		return Route{}, err
	}
	var body struct {
		Queues []struct {
			Broker string `json:"brokerName"`
			N      int    `json:"readQueueNums"`
		} `json:"queueDatas"`
		Brokers []broker `json:"brokerDatas"`
	}
	if err := unmarshal(resp.body, &body); err != nil {
		return Route{}, fmt.Errorf("the route of %s: %w", topic, err)
	}
	addrs := map[string]string{}
	for _, b := range body.Brokers {
		addrs[b.Name] = b.Addrs[master]
	}
	var r Route
	for _, q := range body.Queues {
		for id := 0; id < q.N && addrs[q.Broker] != ""; id++ {
			r.Queues = append(r.Queues, Queue{q.Broker, addrs[q.Broker], id})
		}
	}
	slices.SortFunc(r.Queues, func(a, b Queue) int {
		return cmp.Or(cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.ID, b.ID))
	})
	return r, nil
}

// Brokers asks the name server at addr for the addresses of all brokers that
// take messages, by name.
func (c Client) Brokers(ctx context.Context, addr string) (map[string]string, error) {
	resp, err := c.call(ctx, addr, codeClusterInfo, nil)
	if err != nil {
		return nil, err
	}
	var body struct {
		Brokers map[string]broker `json:"brokerAddrTable"`
	}
	if err := unmarshal(resp.body, &body); err != nil {
		return nil, fmt.Errorf("the list of brokers: %w", err)
	}
	addrs := map[string]string{}
	for name, b := range body.Brokers {
		if a := b.Addrs[master]; a != "" {
			addrs[name] = a
		}
	}
	return addrs, nil
}

// CreateTopic has the broker at addr create a topic, or change the number of
// its queues.
func (c Client) CreateTopic(ctx context.Context, addr, topic string, queues int) error {
	n := strconv.Itoa(queues)
	_, err := c.call(ctx, addr, codeCreateTopic, map[string]string{
		"topic": topic, "defaultTopic": "TBW102", "readQueueNums": n, "writeQueueNums": n,
		"perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
	})
	return err
}

// MaxOffset is the offset that the next message of a queue gets.
func (c Client) MaxOffset(ctx context.Context, topic string, q Queue) (int64, error) {
	resp, err := c.call(ctx, q.Addr, codeMaxOffset, map[string]string{"topic": topic, "queueId": strconv.Itoa(q.ID)})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(resp.Fields["offset"], 10, 64)
}

// Committed is the offset from which a group goes on reading a queue. It is 0
// for a group that has read nothing.
func (c Client) Committed(ctx context.Context, group, topic string, q Queue) (int64, error) {
	resp, err := c.call(ctx, q.Addr, codeQueryOffset,
		map[string]string{"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(q.ID)}, codeQueryNotFound)
	if err != nil || resp.Code == codeQueryNotFound {
		return 0, err
	}
	return strconv.ParseInt(resp.Fields["offset"], 10, 64)
}

// unmarshal reads the JSON of RocketMQ's servers, who leave numbers that are
// keys without quotes.
func unmarshal(data []byte, v any) error {
	if json.Valid(data) {
		return json.Unmarshal(data, v)
	}
	bare := regexp.MustCompile(`([{,])(\d+):`)
	return json.Unmarshal(bare.ReplaceAll(data, []byte(`$1"$2":`)), v)
}
