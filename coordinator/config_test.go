package coordinator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/coordinator"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	conn := dial(t, refusing(t))
	for _, test := range []struct {
		name string
		cfg  coordinator.Config
		want []string
	}{
		{"empty", coordinator.Config{}, []string{"no Conn", "no HTTPURL"}},
		{"no scheme", coordinator.Config{Conn: conn, HTTPURL: "127.0.0.1:36789"}, []string{"HTTPURL"}},
		{"ftp", coordinator.Config{Conn: conn, HTTPURL: "ftp://dtm"}, []string{"want http:// or https://"}},
		{"durations", coordinator.Config{
			Conn: conn, HTTPURL: "http://dtm", RetryInterval: 1500 * time.Millisecond, RequestTimeout: -time.Second, SettleTimeout: -1,
		}, []string{"RetryInterval is 1.5s", "RequestTimeout is -1s", "SettleTimeout is -1ns"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := coordinator.New(test.cfg)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	_, err := coordinator.New(coordinator.Config{Conn: conn, HTTPURL: "https://dtm.example/behind/a/path/"})
	require.NoError(t, err)
}
