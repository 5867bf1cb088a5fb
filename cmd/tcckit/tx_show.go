package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func newTxShowCommand() *cobra.Command {
	var (
		dtm    dtmFlags
		dbs    participantDBs
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "show GID",
		Short: "Show a transaction, at the coordinator and at its participants",
		Long: `show tells what the coordinator knows of a transaction, branch by branch, and beside it what the participants'
barriers say whose databases are given: whether a branch is held, confirmed, cancelled or was rejected, and why. Below
stands what people have done about it.

A participant that was not given, or that cannot be asked, is said to be so: the coordinator's word alone does not tell
what a participant did.`,
		Example: `  tcckit tx show 01a1fe94-50c2-7bec-9187-1742cfdd9ee4 --dtm-http http://dtm:36789   # TCCKIT_ACCOUNT_DB and so on in the environment
  tcckit tx show 01a1fe94-50c2-7bec-9187-1742cfdd9ee4 --db hotel=mysql://ops@db/hotel --json`,
		Args: oneGID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, gid := cmd.Context(), args[0]
			sides := dbs.sides(ctx, gid)
			return dtm.with(func(client *coordinator.Client) error {
				info, err := client.Query(ctx, gid)
				forgotten := errors.Is(err, coordinator.ErrNotFound)
				if err != nil && !forgotten {
					return err
				}
				if forgotten && !anyKnows(sides) {
					return err
				}
				s := shown{gid: gid, info: info, sides: sides}
				if asJSON {
					return s.printJSON(cmd.OutOrStdout())
				}
				return s.print(cmd.OutOrStdout(), time.Now())
			})
		},
	}
	dtm.register(cmd.Flags())
	dbs.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// oneGID wants a gid.
func oneGID(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usagef("name one transaction by its gid; `tcckit tx list` lists them")
	}
	return nil
}

func anyKnows(sides []side) bool {
	for _, s := range sides {
		if s.err != nil || len(s.branches)+len(s.resolutions)+len(s.acts) > 0 {
			return true
		}
	}
	return false
}

// shown is a transaction from all sides. info is nil where the coordinator does not know it.
type shown struct {
	gid   string
	info  *coordinator.Info
	sides []side
}

// row is a branch from both sides.
type row struct {
	BranchID string `json:"branch_id"`
	// Participant is whose barrier has a row, or, at the coordinator alone, where it is called.
	Participant string `json:"participant,omitempty"`
	Target      string `json:"target,omitempty"`
	// Confirm and Cancel are what the coordinator says of these calls.
	Confirm string `json:"confirm,omitempty"`
	Cancel  string `json:"cancel,omitempty"`
	// State is that of the barrier row.
	State     string         `json:"state,omitempty"`
	Since     time.Time      `json:"since,omitzero"`
	Rejection *tcc.Rejection `json:"rejection,omitempty"`
}

// rows are all branches in order of registration, and then those that only a participant knows.
func (s *shown) rows() []*row {
	var list []*row
	byID := make(map[string]*row)
	get := func(id string) *row {
		if byID[id] == nil {
			byID[id] = &row{BranchID: id}
			list = append(list, byID[id])
		}
		return byID[id]
	}
	if s.info != nil {
		next, has := s.info.NextCall()
		for _, c := range s.info.Calls {
			r := get(c.BranchID)
			r.Target = c.Target
			text := callText(s.info, c, has && c.BranchID == next.BranchID && c.Phase == next.Phase)
			switch c.Phase {
			case tcc.Confirm:
				r.Confirm = text
			case tcc.Cancel:
				r.Cancel = text
			}
		}
	}
	for _, one := range s.sides {
		for _, b := range one.branches {
			r := get(b.BranchID)
			r.Participant, r.State, r.Since, r.Rejection = one.name, b.State.String(), b.TriedAt, b.Rejection
		}
	}
	return list
}

// callText is what the coordinator says of one of its calls.
func callText(t *coordinator.Info, c coordinator.Call, next bool) string {
	wanted := t.Status.Committed() && c.Phase == tcc.Confirm || t.Status.Aborted() && c.Phase == tcc.Cancel
	switch {
	case c.Done:
		return "done"
	case next:
		return "next"
	case wanted && t.Status.Finished():
		return "never done"
	case wanted:
		return "waits"
	default:
		return "-"
	}
}

func (s *shown) print(out io.Writer, now time.Time) error {
	fmt.Fprintf(out, "transaction %s\n", s.gid)
	if s.info == nil {
		fmt.Fprintln(out, "unknown to the coordinator: it never began there, or was deleted after its end")
	} else {
		fmt.Fprintf(out, "%s, begun %s ago", s.info.Status, age(s.info.Created, now))
		if !s.info.Status.Finished() {
			fmt.Fprintf(out, ", tried again %s", again(s.info, now))
		} else if !s.info.Finished.IsZero() {
			fmt.Fprintf(out, ", ended %s ago", age(s.info.Finished, now))
		}
		fmt.Fprintln(out)
		if s.info.Reason != "" {
			fmt.Fprintf(out, "aborted because: %s\n", oneLine(s.info.Reason))
		}
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "BRANCH ID\tPARTICIPANT\tCALLED AT\tCONFIRM\tCANCEL\tBARRIER\tSINCE\tREJECTION")
	for _, r := range s.rows() {
		state, since, rejection := "-", "-", "-"
		if r.State != "" {
			state, since = r.State, age(r.Since, now)
		}
		if r.Rejection != nil {
			rejection = oneLine(r.Rejection.Error())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.BranchID, orDash(r.Participant), orDash(r.Target), orDash(r.Confirm), orDash(r.Cancel), state, since, rejection)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return s.printPeople(out)
}

// printPeople prints who was not asked, and what people did.
func (s *shown) printPeople(out io.Writer) error {
	if len(s.sides) == 0 {
		fmt.Fprintln(out, "\nno participant was asked: give their databases to see what they did")
	}
	for _, one := range s.sides {
		if one.err != nil {
			fmt.Fprintf(out, "\n%s cannot be asked: %s\n", one.name, oneLine(one.err.Error()))
		}
	}
	for _, one := range s.sides {
		for _, r := range one.resolutions {
			state := r.After.String()
			if r.Open() {
				state = "not finished"
			}
			fmt.Fprintf(out, "\n%s  branch %s of %s: %s by %s: %s -> %s: %s\n", localTime(r.Started), r.BranchID, one.name, r.Phase, oneLine(r.By), r.Before, state, oneLine(r.Reason))
		}
		for _, a := range one.acts {
			after := a.After
			if a.Finished.IsZero() {
				after = "not finished"
			}
			fmt.Fprintf(out, "\n%s  %s by %s: %s -> %s: %s", localTime(a.Started), a.Kind, oneLine(a.By), a.Before, after, oneLine(a.Reason))
			if a.Note != "" {
				fmt.Fprintf(out, " (%s)", oneLine(a.Note))
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}

func (s *shown) printJSON(out io.Writer) error {
	type person struct {
		Participant string    `json:"participant"`
		BranchID    string    `json:"branch_id,omitempty"`
		Did         string    `json:"did"`
		By          string    `json:"by"`
		Reason      string    `json:"reason"`
		Before      string    `json:"before"`
		After       string    `json:"after,omitempty"`
		Note        string    `json:"note,omitempty"`
		Started     time.Time `json:"started"`
		Finished    time.Time `json:"finished,omitzero"`
	}
	object := struct {
		GID         string            `json:"gid"`
		Coordinator *transactionLine  `json:"coordinator"` // null: it does not know it
		Branches    []*row            `json:"branches"`
		People      []person          `json:"people"`
		NotAsked    map[string]string `json:"not_asked,omitempty"`
	}{GID: s.gid, Branches: s.rows(), People: []person{}}
	if object.Branches == nil {
		object.Branches = []*row{}
	}
	if s.info != nil {
		line := lineOf(s.info)
		object.Coordinator = &line
	}
	for _, one := range s.sides {
		if one.err != nil {
			if object.NotAsked == nil {
				object.NotAsked = make(map[string]string)
			}
			object.NotAsked[one.name] = one.err.Error()
		}
		for _, r := range one.resolutions {
			p := person{one.name, r.BranchID, r.Phase.String(), r.By, r.Reason, r.Before.String(), "", r.Err, r.Started, r.Finished}
			if r.After != barrier.None {
				p.After = r.After.String()
			}
			object.People = append(object.People, p)
		}
		for _, a := range one.acts {
			object.People = append(object.People, person{one.name, "", string(a.Kind), a.By, a.Reason, a.Before, a.After, a.Note, a.Started, a.Finished})
		}
	}
	return printJSON(out, object)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
