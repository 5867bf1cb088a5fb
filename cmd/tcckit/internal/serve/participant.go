package serve

import (
	"errors"
	"fmt"
	"net"
)

// Participant is where a service that takes part in a global transaction is reached.
type Participant struct {
	// Addr is where the order service calls Try: host:port, several of these separated by commas, or a target of
	// gRPC such as dns:///account:7412. Empty, for a service of the same process: that process's internal
	// listener.
	Addr string
	// Target is where the coordinator calls Confirm and Cancel, host:port. Empty: Addr.
	Target string

	self bool // Addr is this process's own
}

// Participants are the names of the services that take part in an order's global transaction.
func Participants() []string { return []string{"order", "account", "stock"} }

// participants completes what cfg says about those of the participants that its services call, given the
// internal listener.
func participants(cfg Config, internal net.Listener) (map[string]Participant, error) {
	complete := make(map[string]Participant)
	var called []string
	switch {
	case cfg.serves("order"):
		called = Participants()
	case cfg.serves("dispatch"):
		called = []string{"order"}
	}
	var errs []error
	for _, name := range called {
		p := cfg.Participants[name]
		if err := p.complete(name, cfg.serves(name), internal); err != nil {
			errs = append(errs, err)
		} else if cfg.serves("order") { // others tell DTM nothing
			errs = append(errs, p.completeTarget(name, internal))
		}
		complete[name] = p
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return complete, nil
}

// complete finds out where the participant is called; here says whether this process is it.
func (p *Participant) complete(name string, here bool, internal net.Listener) error {
	if p.Addr == "" {
		if !here {
			return fmt.Errorf("%s is not served by this process, so say at which host:port it is: --%s-addr", name, name)
		}
		p.Addr, _ = reachable(internal)
		p.self = true
	}
	if err := validateTarget(p.Addr); err != nil {
		return fmt.Errorf("--%s-addr %w", name, err)
	}
	return nil
}

// completeTarget finds out where DTM calls the participant.
func (p *Participant) completeTarget(name string, internal net.Listener) error {
	if p.Target == "" {
		if _, specific := reachable(internal); p.self && !specific {
			return fmt.Errorf("the internal listener is on all interfaces, so say at which host:port DTM reaches %s: --%s-target", name, name)
		}
		p.Target = p.Addr
	}
	if err := validateAddress(p.Target); err != nil {
		return fmt.Errorf("--%s-target, which DTM dials: %w", name, err)
	}
	return nil
}
