package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr"
)

// recovery is what takes up transactions that are due: those whose Confirm or Cancel failed, whose initiator is
// gone, or whose server died. A loop takes one after the other and waits for its calls, so that with a single
// loop, as DTM has it, one participant that hangs keeps all transactions waiting.
//
// Loops, of one process or several, do not take the same transaction: each claims one by moving its next time
// forward by RETRY_INTERVAL, in one step of the store, which only one of them can do.
type recovery struct {
	interval time.Duration // between two looks when nothing is due

	stop    context.CancelFunc
	running sync.WaitGroup
	told    *seldom
}

// warnPause is the least time between two warnings about the store: every loop meets the same failure every second.
const warnPause = 30 * time.Second

// startRecovery starts the loops, which stop must end.
func startRecovery(loops int64, interval time.Duration) *recovery {
	ctx, cancel := context.WithCancel(context.Background())
	r := &recovery{interval: interval, stop: cancel, told: &seldom{every: warnPause}}
	for range loops {
		r.running.Go(func() { r.loop(ctx) })
	}
	return r
}

// end takes up nothing new, and waits for what is under way, or for ctx.
func (r *recovery) end(ctx context.Context) {
	r.stop()
	done := make(chan struct{})
	go func() { defer close(done); r.running.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (r *recovery) loop(ctx context.Context) {
	for ctx.Err() == nil {
		found, err := recoverOne()
		if err != nil {
			r.told.warn("recovery: the store", err)
		}
		if found {
			continue
		}
		pause := time.NewTimer(r.interval - rand.N(time.Second)) // so that servers do not all come at once
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// recoverOne processes one transaction that is due; found tells whether there was one. Calls that fail are
// reported where they are made.
func recoverOne() (found bool, err error) {
	defer func() {
		if p := recover(); p != nil { // DTM's stores panic when they fail
			err = fmt.Errorf("%v", p)
		}
	}()
	store := dtmsvr.GetStore()
	claimed := store.LockOneGlobalTrans(0)
	if claimed == nil {
		return false, nil
	}
	found = true
	transaction := dtmsvr.TransGlobal{TransGlobalStore: *claimed}
	transaction.WaitResult = true
	// What it returns is the outcome or the failure of a call, of which DTM has taken note and told.
	_ = transaction.Process(store.FindBranches(claimed.Gid))
	return found, nil
}
