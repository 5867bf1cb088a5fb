package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// group makes cmd a command that only has others below it: alone it prints its help, and an unknown command
// is an error.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
			hint = ", did you mean " + strings.Join(names, " or ") + "?"
		}
		return usagef("unknown command %q%s", args[0], hint)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.SuggestionsMinimumDistance = 2
	return cmd
}
