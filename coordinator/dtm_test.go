package coordinator_test

import "testing"

// TestDTM holds what DTM does, and what the client makes of it, against real
// servers: the stock build and ours, on each store.
func TestDTM(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		run  func(*testing.T, *dtm)
	}{
		// commit_test.go
		{"commit", testCommit},
		{"confirm order", testConfirmOrder},
		{"requests", testRequests},
		{"participant refuses confirm for a while", testConfirmRetried},
		{"empty transaction", testEmptyTransaction},
		{"sequential try", testSequentialTry},
		// submit_test.go
		{"submit is not repeated", testSubmitNotRepeated},
		{"stock loses a repeated submit", testStockLosesRepeatedSubmit},
		{"submit request lost", testSubmitRequestLost},
		{"submit late", testSubmitLate},
		{"submit reply lost with the connection", testSubmitReplyLost},
		{"submit unknown", testSubmitUnknown},
		{"submit without connection", testSubmitWithoutConnection},
		// abort_test.go
		{"abort", testAbort},
		{"abort reply lost", testAbortReplyLost},
		{"abort after the context ended", testAbortContextEnded},
		{"abort reason of any length", testAbortReason},
		{"abort of a committed transaction", testAbortCommitted},
		{"coordinator times out", testTimeout},
		{"settle", testSettle},
		// register_test.go
		{"register reply lost", testRegisterReplyLost},
		{"register is not repeated", testRegisterNotRepeated},
		{"register after the abort", testRegisterAfterAbort},
		{"prepare reply lost", testPrepareReplyLost},
		{"gid used", testGIDUsed},
		// try_test.go
		{"rejection", testRejection},
		{"parallel try", testParallelTry},
		{"try asked again", testTryAskedAgain},
		{"try fails", testTryFails},
		{"try out of time", testTryOutOfTime},
		{"no new attempts after a failure", testNoNewAttempts},
		// limits_test.go
		{"largest payload", testLargestPayload},
		{"empty payload", testEmptyPayload},
		{"options as stored", testOptionsAsStored},
		// headers_test.go
		{"signature", testSignature},
		{"trace", testTrace},
		{"headers", testHeaders},
		// run_test.go
		{"run", testRun},
		// query_test.go
		{"query", testQuery},
		// retry_test.go
		{"retry now", testRetryNow},
		{"next cancel", testNextCancel},
		// list_test.go
		{"list", testList},
		{"stop", testStop},
		{"make due", testMakeDue},
		// restart_test.go
		{"killed between prepare and submit", testKilledBeforeSubmit},
		{"killed after submit", testKilledAfterSubmit},
		{"restarted while submit settles", testRestartedWhileSettling},
	}
	onEachDTM(t, func(t *testing.T, d *dtm) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, d)
			})
		}
	})
}
