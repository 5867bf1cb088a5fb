package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/smoke"
)

func newSmokeCommand() *cobra.Command {
	var (
		order, account, stock string
		publicPlaintext       bool
		timeout               time.Duration
		tls                   tlsFlags
		logs                  logFlags
	)
	cmd := &cobra.Command{
		Use:   "smoke",
		Short: "Place an order in a shop that runs, and look at the books",
		Long: `smoke opens an account, deposits, puts an item into stock, orders two pieces of it, and verifies the balance and
the stock. "helm test" runs it. It waits for a shop that is still starting.

The account and the item have names of their own, smoke-..., each time, and stay.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if timeout <= 0 {
				return usagef("--timeout must be more than 0")
			}
			log, err := logs.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			internal, err := tls.open(log)
			if err != nil {
				return err
			}
			public := internal
			if publicPlaintext {
				public = nil
			}
			cfg := smoke.Config{Out: cmd.OutOrStdout()}
			orders, err := connect(order, public)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, orders.Close()) }()
			accounts, err := connect(account, internal)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, accounts.Close()) }()
			items, err := connect(stock, internal)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, items.Close()) }()
			cfg.Order, cfg.Account, cfg.Stock = orders, accounts, items
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return smoke.Run(ctx, cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&order, "order-addr", defaultPublic, "host:port of order's public address")
	flags.StringVar(&account, "account-addr", defaultInternal, "host:port of account's internal address")
	flags.StringVar(&stock, "stock-addr", defaultInternal, "host:port of stock's internal address")
	flags.BoolVar(&publicPlaintext, "public-plaintext", false, "with TLS: order's public address is served without")
	flags.DurationVar(&timeout, "timeout", time.Minute, "how long to go on trying")
	tls.register(flags)
	logs.register(flags)
	return cmd
}
