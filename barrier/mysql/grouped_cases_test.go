package mysql_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// Each test here is a sentence of the design about branches that share a
// transaction, looked at in what the store sends.

func TestGroupTakesWhatQueuedOfEveryPhaseWhileTheLastBatchWasInFlight(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		before := append(gids("c", 0, 10), gids("x", 10, 10)...)
		g.tried(before...)
		release := g.busy()
		var all []*sent
		for i, gid := range append(before, gids("t", 20, 10)...) {
			p := []tcc.Phase{tcc.Confirm, tcc.Cancel, tcc.Try}[i/10]
			all = append(all, g.queue(gid, p, taking(p, account(gid), 1)))
		}
		require.Empty(t, g.transactions(), "sent while the last batch was in flight")
		release()
		for _, s := range all {
			require.NoError(t, s.wait())
		}
		// One multi-row statement a phase and all queued statements are one
		// round trip, and COMMIT is the second.
		require.Equal(t, []int{30}, g.moves())
		trip := g.transactions()[0]
		for _, one := range []string{"INSERT INTO sub_transaction_barrier", "SET state = 2", "SET state = 3"} {
			require.Equal(t, 1, strings.Count(trip, one), "%s in %s", one, trip)
		}
		require.Len(t, g.wire.with("COMMIT"), 2, "one of them is of the batch before")
		require.Empty(t, g.wire.with("ROLLBACK"))
	})
}

func TestGroupIsBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		opts mysql.Options
		n    int
		want []int
	}{
		{"by 64 without configuration", mysql.Options{}, 100, []int{64, 36}},
		{"by option", mysql.Options{Batch: 8}, 20, []int{8, 8, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachGrouped(t, c.opts, func(t *testing.T, g *grouped) {
				release := g.busy()
				var all []*sent
				for _, gid := range gids("t", 0, c.n) {
					all = append(all, g.queue(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
				}
				release()
				for _, s := range all {
					require.NoError(t, s.wait())
				}
				require.Equal(t, c.want, g.moves())
			})
		})
	}
}

func TestGroupCanBeSwitchedOff(t *testing.T) {
	onEachGrouped(t, mysql.Options{Batch: 1}, func(t *testing.T, g *grouped) {
		release := g.busy()
		var all []*sent
		for _, gid := range gids("t", 0, 20) {
			all = append(all, g.send(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
		}
		for _, s := range all {
			require.NoError(t, s.wait())
		}
		require.Equal(t, slices.Repeat([]int{1}, 20), g.moves())
		release()
	})
}

func TestGroupHasOneWorkerAndMoreByOption(t *testing.T) {
	for _, workers := range []int{0, 1, 2, 3} {
		onEachGrouped(t, mysql.Options{Workers: workers}, func(t *testing.T, g *grouped) {
			release := g.busy()
			var waiting []*sent
			var free []func()
			for _, gid := range gids("w", 0, max(workers, 1)-1) {
				free = append(free, g.hold(account(gid)))
				waiting = append(waiting, g.send(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
				testserver.LockWaits(t, g.cfg, len(waiting)+1)
			}
			queued := g.queue("t100", tcc.Try, taking(tcc.Try, "100", 1))
			require.Len(t, g.transactions(), max(workers, 1)-1, "transactions beside the first")
			for _, f := range free {
				f()
			}
			release()
			for _, s := range append(waiting, queued) {
				require.NoError(t, s.wait())
			}
		})
	}
}

func TestGroupMarksRejectionsInTheTripThatCommits(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		var all []*sent
		for i, gid := range gids("t", 0, 40) {
			n := int64(1)
			if i%4 == 0 {
				n = 101 // of 100
			}
			all = append(all, g.queue(gid, tcc.Try, taking(tcc.Try, account(gid), n)))
		}
		release()
		for i, s := range all {
			err := s.wait()
			if i%4 != 0 {
				require.NoError(t, err)
				continue
			}
			var r *tcc.Rejection
			require.ErrorAs(t, err, &r)
			require.Equal(t, map[string]string{"id": account(s.gid), "left": "100"}, r.Metadata)
		}
		require.Equal(t, []int{40}, g.moves())
		marks := g.wire.with("state = 5")
		require.Len(t, marks, 1)
		require.Equal(t, 10, strings.Count(marks[0], "state = 5"))
		require.True(t, strings.HasSuffix(marks[0], "COMMIT"))
	})
}

// A guard that failed among several statements has something to undo: its
// branch runs alone, and the others again together.
func TestGroupRunsAloneWhatHasSomethingToUndo(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		all := []*sent{g.queue("bad050", tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
			tx.Queue(takingStmt(tcc.Try, "050", 1))
			tx.Queue(takingStmt(tcc.Try, "051", 101))
			return nil, nil
		})}
		for _, gid := range gids("t", 0, 10) {
			all = append(all, g.queue(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
		}
		release()
		for i, s := range all {
			err := s.wait()
			if i > 0 {
				require.NoError(t, err)
				continue
			}
			var r *tcc.Rejection
			require.ErrorAs(t, err, &r)
			require.Equal(t, "051", r.Metadata["id"])
		}
		moves := g.moves()
		require.Equal(t, 12, moves[0], "all together first")
		require.ElementsMatch(t, []int{2, 10}, moves[1:], "then it alone, and the others together")
		require.Len(t, g.wire.with("state = 5"), 1)
		require.Equal(t, barrier.Rejected, g.state("bad050"))
	})
}

// Where Cancels have met rows that were not TRIED, the next ones' are read first:
// terminal rows answer their Cancels at once, absent ones go alone through the
// one-statement Cancel, and only TRIED ones enter the batch.
func TestGroupReadsTheStatesOfCancelsFirst(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		met := []*sent{g.queue("m050", tcc.Cancel, taking(tcc.Cancel, "050", 1)), g.queue("m051", tcc.Cancel, taking(tcc.Cancel, "051", 1))}
		release()
		for _, s := range met {
			require.NoError(t, s.wait())
		}
		tried, rejected, absent := gids("t", 0, 3), gids("r", 10, 3), gids("n", 20, 3)
		g.tried(tried...)
		for _, gid := range rejected {
			var r *tcc.Rejection
			require.ErrorAs(t, g.send(gid, tcc.Try, taking(tcc.Try, account(gid), 101)).wait(), &r)
		}
		release = g.busy()
		var all []*sent
		for i := range 3 {
			for _, gid := range []string{tried[i], rejected[i], absent[i]} {
				all = append(all, g.queue(gid, tcc.Cancel, taking(tcc.Cancel, account(gid), 1)))
			}
		}
		release()
		for _, s := range all {
			require.NoError(t, s.wait())
		}
		reads := g.wire.with("SELECT gid, branch_id, state FROM sub_transaction_barrier")
		require.Len(t, reads, 1)
		require.NotContains(t, reads[0], "FOR UPDATE")
		require.NotContains(t, reads[0], "SHARE")
		batches := g.wire.with("START TRANSACTION", "SET state = 3")
		require.Len(t, batches, 1)
		for i := range 3 {
			require.Contains(t, batches[0], quoted(tried[i]))
			require.Empty(t, g.wire.with("UPDATE", quoted(rejected[i])), "a rejected branch is answered at once")
			require.NotContains(t, batches[0], quoted(absent[i]))
			alone := g.wire.with("ON DUPLICATE KEY UPDATE", quoted(absent[i]))
			require.Len(t, alone, 1)
			require.Equal(t, 1, strings.Count(alone[0], "UPDATE account"), "only its own business")
			require.Equal(t, barrier.Cancelled, g.state(tried[i]))
			require.Equal(t, barrier.Rejected, g.state(rejected[i]))
			require.Equal(t, barrier.EmptyCancelled, g.state(absent[i]))
		}
	})
}

// Statements are sorted by Key across branches, whatever their query; those of a
// branch that leaves out a key keep their order.
func TestGroupSortsStatementsByTheRowThatTheyLock(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		var all []*sent
		const other = "UPDATE account SET frozen = frozen + 1 WHERE id = ?"
		for i := range 10 {
			a, b := gids("", 9-i, 1)[0], gids("", i*3, 1)[0]
			all = append(all, g.queue("t"+gids("", i, 1)[0], tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
				tx.Queue(takingStmt(tcc.Try, a, 1))
				tx.Queue(barrier.Stmt{Query: other, Args: []any{b}, Key: b, Rows: 1})
				return nil, nil
			}))
		}
		all = append(all, g.queue("k", tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
			for _, id := range []string{"043", "041", "042"} {
				tx.Queue(barrier.Stmt{Query: other, Args: []any{id}, Rows: 1})
			}
			return nil, nil
		}))
		release()
		for _, s := range all {
			require.NoError(t, s.wait())
		}
		require.Len(t, g.transactions(), 1)
		var order []string
		for _, stmt := range strings.Split(g.transactions()[0], "; ") {
			if _, id, ok := strings.Cut(stmt, "WHERE id = '"); ok {
				order = append(order, id[:3])
			}
		}
		require.Len(t, order, 23)
		require.True(t, slices.IsSorted(order[:20]), "%v", order)
		require.Equal(t, []string{"043", "041", "042"}, order[20:])
	})
}

func TestGroupHasABranchAtMostOnceInABatch(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		var all []*sent
		for _, gid := range gids("t", 0, 10) {
			all = append(all, g.queue(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
		}
		for range 3 { // these come while the first is queued
			all = append(all, g.send("t005", tcc.Try, taking(tcc.Try, "005", 1)))
		}
		all = append(all, g.send("t006", tcc.Cancel, taking(tcc.Cancel, "006", 1)))
		release()
		for i, s := range all {
			if err := s.wait(); err != nil {
				require.Contains(t, []int{6, 13}, i, "%s: %v", s.gid, err) // a late try, if the Cancel was first
			}
		}
		for _, text := range g.transactions() {
			for _, gid := range []string{"t005", "t006"} {
				require.LessOrEqual(t, strings.Count(text, quoted(gid)), 1, text)
			}
		}
	})
}

func TestGroupsFullQueueHasCallersWaitUntilTheirContextEnds(t *testing.T) {
	onEachGrouped(t, mysql.Options{Queue: 2}, func(t *testing.T, g *grouped) {
		release := g.busy()
		all := []*sent{g.queue("t001", tcc.Try, taking(tcc.Try, "001", 1)), g.queue("t002", tcc.Try, taking(tcc.Try, "002", 1))}
		late := g.queue("t003", tcc.Try, taking(tcc.Try, "003", 1))
		patient := g.queue("t004", tcc.Try, taking(tcc.Try, "004", 1))
		late.cancel()
		err := late.wait()
		require.ErrorIs(t, err, tcc.ErrUnavailable)
		require.ErrorContains(t, err, "queue")
		require.Equal(t, barrier.None, g.state("t003"))
		release()
		for _, s := range append(all, patient) {
			require.NoError(t, s.wait())
		}
		require.Empty(t, g.wire.with(quoted("t003")))
	})
}

func TestGroupTakesOutWhomTheCallerLeftBeforeTheBatch(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		stays, leaves := g.queue("t001", tcc.Try, taking(tcc.Try, "001", 1)), g.queue("t002", tcc.Try, taking(tcc.Try, "002", 1))
		leaves.cancel()
		require.ErrorIs(t, leaves.wait(), context.Canceled) // while the worker is busy
		release()
		require.NoError(t, stays.wait())
		require.Empty(t, g.wire.with(quoted("t002")), "it was taken out")
		require.Equal(t, barrier.None, g.state("t002"))
	})
}

// left is a branch whose caller goes away while its batch is in flight, which
// is released then.
func (g *grouped) left(gid string, work barrier.Work) {
	g.t.Helper()
	release := g.busy()
	free := g.hold("100")
	slow := g.queue("slow"+gid, tcc.Try, taking(tcc.Try, "100", 1))
	leaves := g.queue(gid, tcc.Try, work)
	release()
	testserver.LockWaits(g.t, g.cfg, 1)
	leaves.cancel()
	require.ErrorIs(g.t, leaves.wait(), context.Canceled) // while the batch waits
	free()
	require.NoError(g.t, slow.wait())
	require.Equal(g.t, barrier.Tried, g.state(gid))
	require.Equal(g.t, []int{2}, g.moves(), "the batch was not run again")
}

func TestGroupFinishesWhomTheCallerLeftInTheBatch(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		committed := make(chan struct{})
		g.left("t001", func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			tx.AfterCommit(func() { close(committed) })
			return taking(tcc.Try, "001", 1)(ctx, tx)
		})
		select {
		case <-committed: // though nobody is left to be answered
		case <-time.After(10 * time.Second):
			require.FailNow(t, "AfterCommit did not run")
		}
	})
}

// A panic in it has no caller to reach, and must not end the process.
func TestGroupSurvivesAfterCommitOfWhomTheCallerLeft(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		g.left("t001", func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			tx.AfterCommit(func() { panic("AfterCommit panics") })
			return taking(tcc.Try, "001", 1)(ctx, tx)
		})
		require.NoError(t, g.send("t002", tcc.Try, taking(tcc.Try, "002", 1)).wait())
	})
}

func TestWorkThatOnlyQueuesNeedsNoConnectionWhileItRuns(t *testing.T) {
	onEachGrouped(t, mysql.Options{MaxConns: 1}, func(t *testing.T, g *grouped) {
		const n = 64
		var inside sync.WaitGroup
		inside.Add(n)
		var all []*sent
		for _, gid := range gids("t", 0, n) {
			all = append(all, g.send(gid, tcc.Try, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				inside.Done()
				inside.Wait() // until all of them are at work
				return taking(tcc.Try, account(gid), 1)(ctx, tx)
			}))
		}
		for _, s := range all {
			require.NoError(t, s.wait())
		}
	})
}

func TestExecTurnsABranchIntoATransactionOfItsOwn(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		release := g.busy()
		queued := g.queue("t001", tcc.Try, taking(tcc.Try, "001", 1))
		own := g.send("t002", tcc.Try, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			s := takingStmt(tcc.Try, "002", 1)
			_, err := tx.ExecContext(ctx, s.Query, s.Args...)
			return nil, err
		})
		require.NoError(t, own.wait(), "while the worker is busy")
		require.Equal(t, barrier.None, g.state("t001"))
		release()
		require.NoError(t, queued.wait())
	})
}

// After a lock wait the branches of a batch run one by one, outside the worker,
// and who waited in vain stays out of the next batches.
func TestGroupGoesOnBesideABranchThatWaitsForAnother(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		free := g.hold("100")
		release := g.busy()
		held := g.queue("t100", tcc.Try, taking(tcc.Try, "100", 1))
		var all []*sent
		for _, gid := range gids("t", 0, 20) {
			all = append(all, g.queue(gid, tcc.Try, taking(tcc.Try, account(gid), 1)))
		}
		release()
		for _, s := range all {
			require.NoError(t, s.wait(), "while the row is held")
		}
		require.ErrorIs(t, held.wait(), tcc.ErrUnavailable)
		// The coordinator comes back: its delivery does not wait for the worker.
		release = g.busy()
		again := g.send("t100", tcc.Try, taking(tcc.Try, "100", 1))
		testserver.LockWaits(t, g.cfg, 2)
		all = nil
		for _, gid := range gids("t", 0, 20) {
			all = append(all, g.queue(gid, tcc.Confirm, taking(tcc.Confirm, account(gid), 1)))
		}
		release()
		for _, s := range all {
			require.NoError(t, s.wait(), "while the row is held")
		}
		require.Equal(t, []int{1, 20}, g.moves(), "it alone, and the others together")
		free()
		require.NoError(t, again.wait())
	})
}
