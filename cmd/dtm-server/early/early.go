// Package early sets the environment that DTM's packages read while they are initialised, before main.
//
// DTM's logger complains on stderr when LOG_LEVEL is not set, and falls back to info, a level that writes
// 6 KB per order. Packages are initialised in the order of their import paths as far as their own imports
// allow, so this one, which imports only os, comes before that logger (it imports go.uber.org/zap, which
// sorts behind us); a test of the built binary holds it.
package early

import "os"

// LogLevel is the level in force when the environment names none.
const LogLevel = "warn"

var _ = setLogLevel()

func setLogLevel() error {
	if os.Getenv("LOG_LEVEL") != "" {
		return nil
	}
	return os.Setenv("LOG_LEVEL", LogLevel)
}
