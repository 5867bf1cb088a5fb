package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/keys"
	"github.com/tcckit/tcckit/tcc"
)

// resolve is one run of `barrier resolve`.
type resolve struct {
	dsn, addr, keysFile string
	dtm                 dtmFlags
	logs                logFlags
	olderThan           days

	gid, branch, reason, operator string
	confirm, cancel, force        bool
}

func newBarrierResolveCommand() *cobra.Command {
	r := &resolve{olderThan: days(barrier.DefaultStuckAfter)}
	cmd := &cobra.Command{
		Use:   "resolve",
		Short: "Finish branches that the coordinator will not finish any more",
		Long: `resolve calls Confirm or Cancel of a participant with the request that is stored with the branch, as the
coordinator would: the participant's own handler and barrier do the work, and every rule holds.

Without --gid it looks once at all branches that are stuck and finishes those whose transaction the coordinator
has ended, the way it decided. It does nothing about the others. "tcckit serve" does the same by itself.

With mutual TLS its certificate must be one that the participant takes Confirm and Cancel from: one of serve's
--tls-coordinators.

With --gid a person decides, with --confirm or --cancel, --reason and --operator; it is for what the coordinator no
longer knows. What the coordinator is still at, what it decided otherwise, and what it cannot be asked about is
refused without --force.

Who, when, why, before and after are recorded in the participant's database: "tcckit barrier resolutions" lists
them. A run that was killed is simply run again.`,
		Example: `  tcckit barrier resolve --db mysql://shop:secret@db/account --addr account:7402 --dtm-http http://dtm:36789
  tcckit barrier resolve --gid 01a1fe94-50c2-7bec-9187-1742cfdd9ee4 --cancel --reason "CASE-118: DTM's Redis was lost"`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	r.register(cmd.Flags())
	return cmd
}

func (r *resolve) register(flags *pflag.FlagSet) {
	flags.StringVar(&r.dsn, "db", "", dbUsage)
	flags.StringVar(&r.addr, "addr", defaultInternal, "host:port of the participant's internal address")
	r.dtm.register(flags)
	flags.StringVar(&r.keysFile, "keys-file", "", "file with the signing keys, a line ID:KEY each; or "+keys.Environment)
	flags.Var(&r.olderThan, "older-than", "without --gid: how long ago the Try must have been")
	flags.StringVar(&r.gid, "gid", "", "the global transaction to decide about")
	flags.StringVar(&r.branch, "branch", "", "with --gid: one branch of it (default: all that are in this database)")
	flags.BoolVar(&r.confirm, "confirm", false, "with --gid: confirm")
	flags.BoolVar(&r.cancel, "cancel", false, "with --gid: cancel")
	flags.StringVar(&r.reason, "reason", "", "with --gid: why, for the record")
	flags.StringVar(&r.operator, "operator", "", "with --gid: who decides, for the record (default: the user of the operating system)")
	flags.BoolVar(&r.force, "force", false, "with --gid: also against the coordinator")
	r.logs.register(flags)
}

// decision is what the flags say a person decided, false if nothing.
func (r *resolve) decision() (barrier.Decision, bool, error) {
	d := barrier.Decision{GID: r.gid, BranchID: r.branch, Phase: tcc.Cancel, By: r.operator, Reason: r.reason}
	if r.gid == "" {
		if r.branch != "" || r.confirm || r.cancel || r.reason != "" || r.operator != "" || r.force {
			return d, false, usagef("--branch, --confirm, --cancel, --reason, --operator and --force go with --gid")
		}
		return d, false, nil
	}
	if r.confirm == r.cancel {
		return d, true, usagef("decide: --confirm or --cancel")
	}
	if r.confirm {
		d.Phase = tcc.Confirm
	}
	if r.reason == "" {
		return d, true, usagef("--reason is missing: say why, for those who will look into it")
	}
	var err error
	if r.operator == "" {
		d.By, err = currentUser()
	}
	return d, true, err
}

func (r *resolve) run(cmd *cobra.Command) (err error) {
	d, decided, err := r.decision()
	if err != nil {
		return err
	}
	if r.olderThan <= 0 {
		return usagef("--older-than must be more than 0")
	}
	log, err := r.logs.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ring, err := keys.Load(r.keysFile)
	if err != nil {
		return usageError{err}
	}
	source, err := r.dtm.tls.open(log)
	if err != nil {
		return err
	}
	client, closeClient, err := r.dtm.clientBy(source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeClient()) }()
	conn, err := connect(r.addr, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	store, err := openBarrier(cmd.Context(), r.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	coordinator := newAsked(client)
	resolver, err := barrier.NewResolver(barrier.ResolverConfig{
		Store: store, Coordinator: coordinator, Sender: &barrier.GRPCSender{Conn: conn, Keys: ring},
		OlderThan: r.olderThan.duration(), Logger: log,
	})
	if err != nil {
		return err
	}
	if decided {
		if err := r.allowed(d, coordinator.view(cmd.Context(), d.GID), coordinator.away); err != nil {
			return err
		}
		done, err := resolver.Resolve(cmd.Context(), d)
		return errors.Join(err, printResolved(cmd.OutOrStdout(), done))
	}
	return pass(cmd.Context(), cmd.OutOrStdout(), resolver)
}

// allowed refuses a decision that the coordinator may contradict.
func (r *resolve) allowed(d barrier.Decision, v barrier.View, away error) error {
	switch {
	case r.force, v.Verdict == barrier.Forgotten, v.Verdict == barrier.Contradictory,
		v.Verdict == barrier.Committed && d.Phase == tcc.Confirm, v.Verdict == barrier.Aborted && d.Phase == tcc.Cancel:
		return nil
	case v.Verdict == barrier.InProgress:
		return fmt.Errorf("the coordinator is still at it (%s): let it finish, `tcckit tx retry` has it try at once; --force decides nevertheless", describeView(v, time.Now()))
	case v.Verdict == barrier.Away:
		return fmt.Errorf("the coordinator at %s gives no answer, so it may have decided otherwise; --force decides nevertheless: %w", r.dtm.http, away)
	default:
		return fmt.Errorf("the coordinator has decided otherwise (%s); --force decides nevertheless", describeView(v, time.Now()))
	}
}

// pass looks once at all that is stuck.
func pass(ctx context.Context, out io.Writer, resolver *barrier.Resolver) error {
	p, err := resolver.Pass(ctx)
	fmt.Fprintf(out, "stuck: %d; in progress: %d, of which the coordinator was asked to try again: %d; committed: %d; aborted: %d; unknown to the coordinator: %d; ended both ways: %d; coordinator away: %d\n",
		p.Stuck, p.Verdicts[barrier.InProgress], p.Retried, p.Verdicts[barrier.Committed], p.Verdicts[barrier.Aborted],
		p.Verdicts[barrier.Forgotten], p.Verdicts[barrier.Contradictory], p.Verdicts[barrier.Away])
	return errors.Join(err, printResolved(out, p.Resolutions))
}

// printResolved prints what became of branches.
func printResolved(out io.Writer, list []barrier.Resolution) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s -> %s\t%s\n", r.GID, r.BranchID, r.Phase, r.Before, r.After, r.Err)
	}
	return w.Flush()
}
