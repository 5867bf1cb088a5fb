package coordinator

import (
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tcckit/tcckit/tcc"
)

// The limits of what DTM stores, in bytes: the widths of its SQL columns,
// which its other stores do not have, but a transaction must not depend on
// the store.
const (
	// MaxPayloadLen limits the encoded Request of a branch.
	MaxPayloadLen = 65535
	// MaxOptionsLen limits the options of a transaction, its headers above
	// all, as DTM encodes them.
	MaxOptionsLen = 1024
	// maxURLLen limits Target and method together.
	maxURLLen = 1024
	// MaxBranches limits the branches of one transaction: DTM's boltdb store
	// numbers two entries per branch with three digits and confuses their
	// order above.
	MaxBranches = 500
)

// Branch is one participant's share of a global transaction.
type Branch struct {
	// Conn is the connection on which the initiator calls Try. Its
	// deadlines, TLS, interceptors and balancing are its owner's.
	Conn grpc.ClientConnInterface
	// Target is where the coordinator reaches the participant for Confirm
	// and Cancel, as host:port.
	Target string
	// ID is the branch id, unique within the transaction. Empty means "01",
	// "02", ... in order of registration.
	ID string
	// Try, Confirm and Cancel are full methods, "/package.Service/Method",
	// as in the generated <Service>_<Method>_FullMethodName constants.
	Try, Confirm, Cancel string
	// Request is the request of all three phases.
	Request proto.Message
	// Reply receives the response of Try. Nil discards it.
	Reply proto.Message
}

// prepared is a Branch that was found sound and has its id.
type prepared struct {
	Branch
	payload []byte
}

// prepare validates b; id is what an empty ID becomes.
func (b Branch) prepare(id string) (prepared, error) {
	if b.ID == "" {
		b.ID = id
	}
	if b.Conn == nil {
		return prepared{}, tcc.Invalidf("branch %s has no Conn to call its Try on", b.ID)
	}
	if err := validateTarget(b.Target); err != nil {
		return prepared{}, tcc.Invalidf("branch %s: %s", b.ID, err)
	}
	for _, m := range [...]struct {
		phase  tcc.Phase
		method string
	}{{tcc.Try, b.Try}, {tcc.Confirm, b.Confirm}, {tcc.Cancel, b.Cancel}} {
		if err := validateMethod(m.method); err != nil {
			return prepared{}, tcc.Invalidf("branch %s: method of %s: %s", b.ID, m.phase, err)
		}
		if n := len(b.Target) + len(m.method); n > maxURLLen {
			return prepared{}, tcc.Invalidf("branch %s: target and method of %s are %d bytes long, DTM stores at most %d", b.ID, m.phase, n, maxURLLen)
		}
	}
	if b.Request == nil {
		return prepared{}, tcc.Invalidf("branch %s has no Request", b.ID)
	}
	payload, err := proto.Marshal(b.Request)
	if err != nil {
		return prepared{}, tcc.Invalidf("branch %s: request cannot be encoded: %s", b.ID, err)
	}
	if len(payload) > MaxPayloadLen {
		return prepared{}, tcc.Invalidf("branch %s: request is %d bytes long, DTM stores at most %d: send a reference instead", b.ID, len(payload), MaxPayloadLen)
	}
	return prepared{Branch: b, payload: payload}, nil
}

// validateTarget accepts host:port only: DTM's own driver refuses a scheme,
// and does so when it is too late, at the first Confirm.
func validateTarget(target string) error {
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" || port == "" || strings.ContainsAny(target, "/ \t\r\n") {
		return fmt.Errorf("target is %q, want host:port, where the coordinator reaches the participant", target)
	}
	return nil
}

func validateMethod(m string) error {
	service, method, ok := strings.Cut(strings.TrimPrefix(m, "/"), "/")
	if !strings.HasPrefix(m, "/") || !ok || service == "" || method == "" || strings.ContainsAny(method, "/") || strings.ContainsAny(m, " \t\r\n") {
		return fmt.Errorf("%q, want /package.Service/Method", m)
	}
	return nil
}
