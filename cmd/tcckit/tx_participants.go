package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/cmd/tcckit/internal/serve"
	"github.com/tcckit/tcckit/internal/acts"
)

// participantDBs are the databases of participants, by name.
type participantDBs struct {
	known  map[string]*string
	others []string
}

func (p *participantDBs) register(flags *pflag.FlagSet) {
	p.known = make(map[string]*string)
	for _, name := range serve.Participants() {
		p.known[name] = flags.String(name+"-db", "", name+"'s database: mysql://user:password@host:3306/database or sqlite:/path; better in the environment, for a command line shows the password to everybody")
	}
	flags.StringArrayVar(&p.others, "db", nil, "another participant's database, mysql://... or sqlite:/path, or NAME=... to say what to call it; may be repeated")
}

// dsn is a participant with its database.
type dsn struct{ name, source string }

// list names each database once: TCCKIT_DB, which other commands read, may be one of a known participant.
func (p *participantDBs) list() (list []dsn) {
	for _, name := range serve.Participants() {
		if source := *p.known[name]; source != "" {
			list = append(list, dsn{name, source})
		}
	}
	for _, other := range p.others {
		name, source, ok := strings.Cut(other, "=")
		if !ok || strings.Contains(name, ":") { // it belongs to the DSN
			name, source = "participant", other
		}
		if !slices.ContainsFunc(list, func(d dsn) bool { return d.source == source }) {
			list = append(list, dsn{name, source})
		}
	}
	return list
}

// side is a participant's view of one transaction.
type side struct {
	name string
	// branches are its barrier rows, resolutions what was decided about them by hand, acts what people had the
	// coordinator do.
	branches    []barrier.Branch
	resolutions []barrier.Resolution
	acts        []acts.Act
	// err is why there is no view.
	err error
}

// sides asks all participants that were given. One that cannot be asked does not keep the others from answering.
func (p *participantDBs) sides(ctx context.Context, gid string) (sides []side) {
	for _, one := range p.list() {
		s := side{name: one.name}
		s.err = s.read(ctx, one.source, gid)
		sides = append(sides, s)
	}
	return sides
}

func (s *side) read(ctx context.Context, source, gid string) (err error) {
	store, err := openBarrier(ctx, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if s.branches, err = store.Branches(ctx, gid); err != nil {
		return err
	}
	if s.resolutions, err = store.Resolutions(ctx, barrier.ResolutionsOptions{GID: gid}); err != nil {
		return err
	}
	s.acts, err = inActs(source, func(l acts.Log) ([]acts.Act, error) { return l.Of(ctx, gid) })
	return err
}

// record writes an act into the first database that was given, has it done, and completes the record.
func (p *participantDBs) record(ctx context.Context, a acts.Act, do func(*acts.Act) error) error {
	list := p.list()
	if len(list) == 0 {
		names := serve.Participants()
		for i := range names {
			names[i] = "--" + names[i] + "-db"
		}
		return usagef("no participant's database is given, in which to write down who does this and why: %s, or --db", strings.Join(names, ", "))
	}
	_, err := inActs(list[0].source, func(l acts.Log) (none struct{}, err error) {
		if a, err = l.Begin(ctx, a); err != nil {
			return none, fmt.Errorf("%s: %w; nothing was done", list[0].name, err)
		}
		done := do(&a)
		if done != nil {
			a.Note = strings.TrimPrefix(a.Note+"; "+done.Error(), "; ")
		}
		// Also when ctx has ended: a record without an end says that nobody knows.
		return none, errors.Join(done, l.End(context.WithoutCancel(ctx), a))
	})
	return err
}

// inActs opens the record of a database for f.
func inActs[T any](source string, f func(acts.Log) (T, error)) (result T, err error) {
	var db *sql.DB
	l := acts.Log{}
	if db, l.Dialect, err = openDB(source); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	l.DB = db
	return f(l)
}

// held are the branches that are still TRIED, in the order of the participants.
func held(sides []side) []string {
	var list []string
	for _, s := range sides {
		for _, b := range s.branches {
			if b.State == barrier.Tried {
				list = append(list, fmt.Sprintf("%s (branch %s)", s.name, b.BranchID))
			}
		}
	}
	return slices.Clip(list)
}
