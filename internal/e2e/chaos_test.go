package e2e_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// TestChaos has clients place orders while processes are killed and ended and connections break, at random.
func TestChaos(t *testing.T) {
	stores := onBolt
	if long() {
		stores = onEachStore
	}
	stores(t, func(t *testing.T, store dtmStore) {
		s := newShop(t, store.open(t))
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		crowd := s.crowd(t, 8, seed)
		random := rand.New(rand.NewPCG(seed, 0))
		all := s.chaos(t)
		for range testserver.Volume(12, 200) {
			all[random.IntN(len(all))]()
			crowd.progress(t, 5)
		}
		crowd.end(t)
	})
}

// chaos returns what may happen to a shop.
func (s *shop) chaos(t *testing.T) []func() {
	t.Helper()
	all := []func(){
		func() {
			require.NoError(t, s.dtm.Kill())
			require.NoError(t, s.dtm.Restart(bounded(t)))
		},
		s.relays[dtm].cutAll,
		s.front.cutAll,
	}
	for _, name := range services() {
		one := s.services[name]
		all = append(all,
			s.relays[name].cutAll,
			s.wires[name].Cut,
			func() { one.kill(t); one.start(t) },
			func() { require.NoError(t, one.stop(bounded(t))); one.start(t) })
	}
	return all
}
