package remoting

import (
	"context"
	"fmt"
	"net"
)

// Error is a response that says no.
type Error struct {
	Code   int
	Remark string
}

func (e *Error) Error() string { return fmt.Sprintf("code %d: %s", e.Code, e.Remark) }

// Call sends a request to addr over a connection of its own and returns the response. A response other
// than success is an *Error. ctx bounds all of it.
func Call(ctx context.Context, addr string, request Command) (Command, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return Command{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := Write(conn, request); err != nil {
		return Command{}, fmt.Errorf("%s: %w", addr, err)
	}
	response, err := Read(conn)
	if err != nil {
		return Command{}, fmt.Errorf("%s: %w", addr, err)
	}
	if response.Code != 0 {
		return Command{}, fmt.Errorf("%s: %w", addr, &Error{response.Code, response.Remark})
	}
	return response, nil
}
