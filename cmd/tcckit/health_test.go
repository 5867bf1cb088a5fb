package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/rpc"
)

func TestHealthTellsWhetherAProcessTakesWork(t *testing.T) {
	var ready error
	server := rpc.NewHealthServer(func(context.Context) error { return ready })
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	ask := func(more ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"health", "--addr=" + l.Addr().String()}, more...), &out, &errs)
		return code, out.String() + errs.String()
	}

	code, text := ask()
	assert.Equal(t, 0, code, text)
	assert.Equal(t, "ok\n", text)

	ready = errors.New("the database is away")
	code, text = ask()
	assert.Equal(t, 1, code, text)
	assert.Contains(t, text, "takes no work: NOT_SERVING")
	code, text = ask("--service=liveness")
	assert.Equal(t, 0, code, text)

	server.Stop()
	require.NoError(t, <-ended)
	code, text = ask()
	assert.Equal(t, 1, code, text)
	assert.Contains(t, text, "gives no answer")
}
