package main

import (
	"context"
	"log/slog"
	"os/user"

	"github.com/spf13/pflag"
)

// occasion is why, and by whom, something is done by hand. It goes to the log.
type occasion struct{ reason, operator string }

func (o *occasion) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.reason, "reason", "", "why, for the log (required)")
	flags.StringVar(&o.operator, "operator", "", "who does it, for the log (default: the user of the operating system)")
}

// complete wants a reason, and finds out who it is.
func (o *occasion) complete() error {
	if o.reason == "" {
		return usagef("--reason is missing: say why, for those who will look into it")
	}
	if o.operator != "" {
		return nil
	}
	var err error
	o.operator, err = currentUser()
	return err
}

func (o *occasion) log(ctx context.Context, log *slog.Logger, text string, attrs ...any) {
	log.InfoContext(ctx, text, append(attrs, "operator", o.operator, "reason", o.reason)...)
}

// currentUser is who runs this, for records.
func currentUser() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", usagef("--operator is missing: say who decides (the operating system does not know: %s)", err)
	}
	return u.Username, nil
}
