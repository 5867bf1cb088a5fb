package main

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/internal/observe"
)

// logFlags say how logs are written.
type logFlags struct{ level, format string }

func (f *logFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.format, "log-format", string(observe.Auto), "text, json, or auto: text on a terminal")
}

func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	level, err := observe.ParseLevel(f.level)
	if err != nil {
		return nil, usageError{err}
	}
	format, err := observe.ParseFormat(f.format)
	if err != nil {
		return nil, usageError{err}
	}
	return observe.NewLogger(w, level, format), nil
}
