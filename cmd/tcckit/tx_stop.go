package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/acts"
)

type txStop struct {
	dtm      dtmFlags
	dbs      participantDBs
	occasion occasion
	force    bool
}

func newTxStopCommand() *cobra.Command {
	s := &txStop{}
	cmd := &cobra.Command{
		Use:   "stop GID",
		Short: "Have the coordinator give a transaction up",
		Long: `stop has the coordinator call nobody any more for a transaction, neither to confirm nor to cancel, and mark it as
failed. What its participants hold is held until somebody decides about it: "tcckit barrier resolve". It is for a
transaction that can never end, such as one whose participant is gone for good; what only waits for a participant that
is down is better left alone.

One that is committed is not stopped without --force: its initiator may have been told so, and some participants may
have confirmed. Nor is one that is not decided: its initiator may commit it at this moment, and if it does not, the
coordinator aborts it when its time is up.

Who, when and why are recorded in the first participant's database that is given; "tcckit tx show" shows them.`,
		Example: `  tcckit tx stop 01a1fe94-50c2-7bec-9187-1742cfdd9ee4 --reason "CASE-118: the hotel service was taken down"`,
		Args:    oneGID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.occasion.complete(); err != nil {
				return err
			}
			return s.dtm.with(func(client *coordinator.Client) error { return s.run(cmd, client, args[0]) })
		},
	}
	s.dtm.register(cmd.Flags())
	s.dbs.register(cmd.Flags())
	s.occasion.register(cmd.Flags())
	cmd.Flags().BoolVar(&s.force, "force", false, "also one that is committed or not decided")
	return cmd
}

func (s *txStop) run(cmd *cobra.Command, client *coordinator.Client, gid string) error {
	ctx := cmd.Context()
	before, err := client.Query(ctx, gid)
	switch {
	case err != nil:
		return err
	case before.Status.Finished():
		return fmt.Errorf("transaction %s: %w (%s): the coordinator calls nobody for it", gid, coordinator.ErrFinished, before.Status)
	case before.Status == coordinator.Prepared && !s.force:
		return fmt.Errorf("transaction %s is not decided, and its initiator may commit it at this moment: the coordinator aborts it when its time is up; --force stops it nevertheless", gid)
	case before.Status == coordinator.Submitted && !s.force:
		return fmt.Errorf("transaction %s is committed, and its initiator may have been told so: have it tried again (`tcckit tx retry %s`), or stop it nevertheless with --force", gid, gid)
	}
	act := acts.Act{GID: gid, Kind: acts.Stop, By: s.occasion.operator, Reason: s.occasion.reason, Before: string(before.Status)}
	err = s.dbs.record(ctx, act, func(a *acts.Act) error {
		if err := client.Stop(ctx, gid); err != nil {
			return err
		}
		after, err := client.Query(ctx, gid)
		if err != nil {
			return fmt.Errorf("whether it was stopped is not known: %w", err)
		}
		if a.After = string(after.Status); after.Status != coordinator.Failed {
			return fmt.Errorf("the coordinator was told to stop, and has it as %s", after.Status)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return printStopped(cmd.OutOrStdout(), gid, before, s.dbs.sides(ctx, gid))
}

// printStopped says what is left to do.
func printStopped(out io.Writer, gid string, before *coordinator.Info, sides []side) error {
	fmt.Fprintf(out, "stopped; it was %s. The coordinator calls nobody for it any more\n", before.Status)
	for _, one := range sides {
		if one.err != nil {
			fmt.Fprintf(out, "%s cannot be asked what it holds: %s\n", one.name, oneLine(one.err.Error()))
		}
	}
	list := held(sides)
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "none of the participants that were asked holds anything for it")
		return err
	}
	way := "--cancel"
	if before.Status != coordinator.Aborting { // what was not decided may have been committed before it was stopped
		way = "--confirm or --cancel"
	}
	_, err := fmt.Fprintf(out, "still held by %s: decide with `tcckit barrier resolve --gid %s %s --reason ...`, at each\n", strings.Join(list, ", "), gid, way)
	return err
}
