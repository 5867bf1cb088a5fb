package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr/config"
	"github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/cmd/dtm-server/sweep"
)

// minFinishedRetention is what DTM's Redis store keeps by default: less would be a slip of the finger, and resolvers
// ask about what has been stuck for an hour.
const minFinishedRetention = 24 * time.Hour

// finishedSettings say how long a MySQL store keeps transactions that have ended, and how often it is swept.
type finishedSettings struct{ retention, interval time.Duration }

func loadFinished() (f finishedSettings, err error) {
	if f.retention, err = envDuration("FINISHED_RETENTION", "168h"); err != nil {
		return f, err
	}
	if f.retention != 0 && f.retention < minFinishedRetention {
		return f, fmt.Errorf("FINISHED_RETENTION=%s: want %s or longer, or 0 to keep all", f.retention, minFinishedRetention)
	}
	if f.interval, err = envDuration("FINISHED_INTERVAL", "1h"); err != nil {
		return f, err
	}
	if f.interval == 0 {
		return f, fmt.Errorf("FINISHED_INTERVAL=0: want a duration such as 1h; FINISHED_RETENTION=0 keeps all")
	}
	return f, nil
}

// sweeping deletes from a MySQL store what has ended long ago, while the process serves.
type sweeping struct {
	finishedSettings
	db      *sql.DB
	stop    context.CancelFunc
	running sync.WaitGroup
}

// startSweeping returns nil if there is nothing to sweep. What it returns must be ended.
func startSweeping(s settings) (*sweeping, error) {
	if s.dtm.Store.Driver != config.Mysql || s.finished.retention == 0 {
		return nil, nil
	}
	cfg := mysqlConfig(s.dtm.Store)
	cfg.Loc = time.Local // as DTM's
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &sweeping{finishedSettings: s.finished, db: sql.OpenDB(connector), stop: cancel}
	w.db.SetMaxOpenConns(1)
	w.db.SetConnMaxIdleTime(time.Minute) // it is used once an hour
	w.running.Go(func() { w.loop(ctx) })
	return w, nil
}

// loop sweeps after each interval, give or take a tenth, so that servers do not do it at the same moment.
func (w *sweeping) loop(ctx context.Context) {
	for {
		tenth := w.interval / 10
		pause := time.NewTimer(w.interval - tenth + rand.N(2*tenth+1))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		result, err := sweep.Sweep(ctx, w.db, time.Now().Add(-w.retention))
		if result.Deleted > 0 {
			fmt.Fprintf(os.Stderr, "dtm-server: deleted %d transactions that ended more than %s ago\n", result.Deleted, w.retention)
		}
		if err != nil && ctx.Err() == nil {
			warn("deleting transactions that ended long ago; the next attempt follows", err)
		}
	}
}

// end stops in the middle of a sweep, if there is one, which harms nothing.
func (w *sweeping) end() {
	w.stop()
	w.running.Wait()
	_ = w.db.Close()
}
