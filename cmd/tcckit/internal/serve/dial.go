package serve

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/tcckit/tcckit/internal/rpc"
)

// dial returns a connection to somebody else, which connects when it is first used; the process closes it.
func (p *process) dial(target string) (*grpc.ClientConn, error) {
	return p.dialAs(target, p.clientCredentials())
}

// dialSelf returns a connection to this process's internal listener.
func (p *process) dialSelf() (*grpc.ClientConn, error) {
	self, _ := reachable(p.listeners.internal)
	return p.dialAs(self, p.loopbackCredentials())
}

// dialParticipant returns a connection to a participant, in this process or not.
func (p *process) dialParticipant(participant Participant) (*grpc.ClientConn, error) {
	if participant.self {
		return p.dialSelf()
	}
	return p.dial(participant.Addr)
}

func (p *process) dialAs(target string, creds credentials.TransportCredentials) (*grpc.ClientConn, error) {
	conn, err := rpc.Dial(target, rpc.DialConfig{
		Credentials: creds, MeterProvider: p.telemetry.MeterProvider(), TracerProvider: p.telemetry.TracerProvider(), Propagator: p.telemetry.Propagator(),
	})
	if err != nil {
		return nil, err
	}
	p.own(conn)
	return conn, nil
}
