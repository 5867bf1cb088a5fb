package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/background"
)

func newDownCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End what up started; the data stays",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			ended, err := background.Down(cmd.Context(), dir)
			if err != nil {
				return err
			}
			text := "nothing was running"
			if ended {
				text = "ended"
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	registerDir(cmd.Flags(), &dir)
	return cmd
}
