package demo

import (
	"io"

	"github.com/tcckit/tcckit/internal/stack"
)

// Config says on what to run the demo. Only Out is required.
type Config struct {
	// Out is where it prints. If that is a terminal, everything keeps running at the end until the
	// context ends.
	Out io.Writer
	// Program is the tcckit binary. Empty: the one that runs.
	Program string
	// Dir keeps databases and logs, and stays. Empty: a temporary folder, removed at the end.
	Dir string
	// MySQL is the DSN of a server on which the services get databases of their own, dropped at the end
	// unless Dir is given. Empty: SQLite files.
	MySQL string
	// RocketMQ are the addresses of name servers, host:port each. The run's topics stay there. None: messages
	// stay within their process.
	RocketMQ []string
	// DTM is a DTM server that runs on this machine. Zero: one is started, on boltdb.
	DTM stack.DTM
}
