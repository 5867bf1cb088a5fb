package rocketmq

import "sync"

// localMember is one subscription within the process.
type localMember struct {
	bus   *local
	cfg   SubscriberConfig
	topic string
	group *localGroup
	out   *outlet
	tasks sync.WaitGroup
	once  sync.Once
}

func joinLocal(l *local, cfg SubscriberConfig, topic string, o *outlet) *localMember {
	m := &localMember{bus: l, cfg: cfg, topic: topic, group: l.join(topic, cfg.Group), out: o}
	for range cfg.Handlers {
		m.tasks.Go(m.handle)
	}
	return m
}

func (m *localMember) handle() {
	for {
		select {
		case p := <-m.group.in:
			h := m.out.hand(p.message)
			p.acked <- h != nil && m.out.settle(h, func() bool { return false })
		case <-m.out.stop:
			return
		}
	}
}

func (m *localMember) close() {
	m.once.Do(func() {
		m.out.drain(m.cfg.DrainTimeout)
		m.tasks.Wait()
		m.bus.leave(m.topic, m.cfg.Group)
	})
}
