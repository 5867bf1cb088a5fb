package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// TestMessagesSurviveKills places orders while the broker, a relay, the consumers and the service of express
// orders are killed, at random. Then each confirmed order has one shipment, the carts have lost what was ordered
// and nothing else, and no message is left anywhere.
func TestMessagesSurviveKills(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		n := kills{
			broker: testserver.Volume(1, 5), relay: testserver.Volume(2, 10),
			followers: testserver.Volume(2, 10), express: testserver.Volume(1, 10),
		}
		s := newFollowedShop(t, store.open(t))
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		var all []*buyer
		for range testserver.Volume(10, 400) {
			all = append(all, s.buyer(t, testserver.Volume(20, 50)))
		}
		began := time.Now()
		m := newMarket(t, testserver.Volume(8, 16), all)
		faults := s.faults(t, random, n)
		for i, fault := range faults {
			// One in each stretch of the orders, somewhere in it.
			m.reach(t, (float64(i)+random.Float64())/float64(len(faults)+1))
			fault()
		}
		m.end(t)
		placed := time.Since(began)
		s.followed(t, all)
		total := time.Since(began)
		s.settled(t)
		s.audit(t, all)
		s.report(t, all, n, placed, total)
	})
}

// kills is how often each is killed.
type kills struct{ broker, relay, followers, express int }

// faults returns the kills, in a random order. While the broker is away something else is killed.
func (s *followedShop) faults(t *testing.T, random *rand.Rand, n kills) []func() {
	t.Helper()
	var all []func()
	add := func(one *service, times int) {
		for range times {
			all = append(all, func() {
				one.kill(t)
				one.start(t)
			})
		}
	}
	add(s.relay, n.relay)
	add(s.followers, n.followers)
	add(s.express, n.express)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	// Each stretch of them has one kill of the broker, and its restart behind the next of the others.
	var mixed []func()
	away := 0
	for i, fault := range all {
		if away < n.broker && i >= away*len(all)/n.broker {
			away++
			mixed = append(mixed, s.broker.KillBroker, fault, s.broker.RestartBroker)
			continue
		}
		mixed = append(mixed, fault)
	}
	require.Equal(t, n.broker, away)
	return mixed
}

// report logs what the test has done.
func (s *followedShop) report(t testing.TB, buyers []*buyer, n kills, placed, total time.Duration) {
	t.Helper()
	want := tallyOf(buyers)
	t.Logf("%d orders and %d express orders in %s, %.0f orders/s; followed after %s; killed: broker %d, relay %d, cart and dispatch %d, express %d",
		want.orders, want.express, placed.Round(time.Millisecond), float64(want.orders)/placed.Seconds(), total.Round(time.Millisecond),
		n.broker, n.relay, n.followers, n.express)
	for topic, messages := range map[string]int64{"order_confirmed": want.orders, "express_take": want.express, "express_result": want.express} {
		taken := s.published(t, topic)
		t.Logf("%s: %d messages, of which the broker has taken %d, %d of them again", topic, messages, taken, taken-messages)
	}
}

// market are clients who serve one buyer after another.
type market struct {
	tasks  sync.WaitGroup
	ended  chan error // what each client ended with
	placed atomic.Int64
	orders int64
}

func newMarket(t *testing.T, clients int, buyers []*buyer) *market {
	t.Helper()
	m := &market{ended: make(chan error, clients)}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); m.tasks.Wait() })
	queue := make(chan *buyer, len(buyers))
	for _, b := range buyers {
		m.orders += int64(b.orders)
		queue <- b
	}
	close(queue)
	for range clients {
		m.tasks.Go(func() {
			for b := range queue {
				if err := b.buy(ctx, t, func() { m.placed.Add(1) }); err != nil {
					m.ended <- err
					return
				}
			}
			m.ended <- nil
		})
	}
	return m
}

// reach waits until a share of the orders is placed, and fails the test if they do not go on.
func (m *market) reach(t *testing.T, share float64) {
	t.Helper()
	goal := int64(share * float64(m.orders))
	for now := m.placed.Load(); now < goal; now = m.placed.Load() {
		eventually(t, "the clients go on", func(context.Context) error {
			select {
			case err := <-m.ended:
				m.ended <- err // for the next look
				if err != nil {
					t.Fatalf("a client has stopped: %v", err)
				}
			default:
			}
			if m.placed.Load() == now {
				return fmt.Errorf("%d of %d orders were placed", now, m.orders)
			}
			return nil
		})
	}
}

// end waits until all orders are placed.
func (m *market) end(t *testing.T) {
	t.Helper()
	m.reach(t, 1)
	m.tasks.Wait()
	close(m.ended)
	for err := range m.ended {
		require.NoError(t, err)
	}
}
