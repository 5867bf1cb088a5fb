package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"
)

// Store is where DTM keeps its transactions.
type Store string

// The stores.
const (
	OnRedis Store = "redis"
	OnMySQL Store = "mysql"
)

// Key says what a figure is of.
type Key struct {
	Store   Store
	Kind    Kind
	Clients int
}

// Report has the figures of one run.
type Report struct {
	cfg    Config
	rounds map[Key]*Round
	order  []Key
}

func newReport(cfg Config) *Report { return &Report{cfg: cfg, rounds: make(map[Key]*Round)} }

func (r *Report) add(k Key, round Round) {
	if r.rounds[k] == nil {
		r.rounds[k] = &Round{}
		r.order = append(r.order, k)
	}
	r.rounds[k].Add(round)
}

// Get returns the figures of all rounds of a key together, nil if there were none.
func (r *Report) Get(k Key) *Round { return r.rounds[k] }

// Ratio is how many orders a second real participants carried of those that the coordinator allows.
func (r *Report) Ratio(store Store, clients int) float64 {
	limit, measured := r.Get(Key{store, Limit, clients}), r.Get(Key{store, Branches, clients})
	if limit == nil || measured == nil || limit.PerSecond() == 0 {
		return 0
	}
	return measured.PerSecond() / limit.PerSecond()
}

// Write prints a table, and as the last line a JSON object.
func (r *Report) Write(out io.Writer) error {
	fmt.Fprintf(out, "\n%d accounts, %d items, %d rounds of %s each; orders a second until all of them were carried out\n\n",
		r.cfg.Rows, r.cfg.Rows, r.cfg.Rounds, r.cfg.Duration)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "DTM on\tparticipants\tclients\torders/s\tof the limit\tp50\tp95\tp99\t")
	for _, k := range r.order {
		round := r.rounds[k]
		share := ""
		if ratio := r.Ratio(k.Store, k.Clients); k.Kind == Branches && ratio > 0 {
			share = fmt.Sprintf("%.2f", ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t\n", k.Store, k.Kind, k.Clients, round.PerSecond(), share,
			milliseconds(round.Quantile(50)), milliseconds(round.Quantile(95)), milliseconds(round.Quantile(99)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	line, err := json.Marshal(r.summary())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s\n", line)
	return err
}

// summary are the figures by the names under which they are compared from run to run. One that was not
// measured is left out.
func (r *Report) summary() map[string]float64 {
	figures := make(map[string]float64)
	put := func(name string, k Key, figure func(*Round) float64) {
		if round := r.Get(k); round != nil {
			figures[name] = figure(round)
		}
	}
	perSecond := func(round *Round) float64 { return rounded(round.PerSecond(), 1) }
	p50 := func(round *Round) float64 { return rounded(float64(round.Quantile(50))/float64(time.Millisecond), 2) }
	for store, suffix := range map[Store]string{OnRedis: "", OnMySQL: "_mysql"} {
		put("orders_per_s_32"+suffix, Key{store, Branches, 32}, perSecond)
		put("limit_per_s_32"+suffix, Key{store, Limit, 32}, perSecond)
		put("ratio_32"+suffix, Key{store, Branches, 32}, func(*Round) float64 { return rounded(r.Ratio(store, 32), 3) })
		put("p50_ms_1"+suffix, Key{store, Branches, 1}, p50)
	}
	put("place_order_per_s_32", Key{OnRedis, PlaceOrder, 32}, perSecond)
	return figures
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2fms", float64(d)/float64(time.Millisecond))
}

func rounded(f float64, digits int) float64 {
	unit := math.Pow10(digits)
	return math.Round(f*unit) / unit
}
