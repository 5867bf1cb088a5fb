package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/cmd/tcckit/internal/serve"
	"github.com/tcckit/tcckit/internal/database"
)

func newMigrateCommand() *cobra.Command {
	var (
		dsns   = databases{}
		logs   logFlags
		create bool
	)
	cmd := &cobra.Command{
		Use:   "migrate SERVICE...",
		Short: "Bring the databases of services up to date: any of " + strings.Join(serve.Names(), ", "),
		Long: `migrate creates the tables that are missing, the barrier's among them. Run again it does nothing, and several
may run at once: they take turns.`,
		Args: serviceArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := logs.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			for _, name := range args {
				if _, err := dsns.of(name); err != nil {
					return err
				}
			}
			for _, name := range args {
				result, err := database.Migrate(cmd.Context(), database.MigrateConfig{
					DSN: *dsns[name], Migrations: serve.Migrations(name), CreateDatabase: create, Logger: log.With("service", name),
				})
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %d migrations applied, now at version %d\n", name, len(result.Applied), result.Version)
			}
			return nil
		},
	}
	dsns.register(cmd.Flags())
	cmd.Flags().BoolVar(&create, "create-database", false, "create a MySQL database that does not exist")
	logs.register(cmd.Flags())
	return cmd
}
