package main

import "slices"

// Where the bugs are planted.
const (
	state   = "barrier/state.go"
	guard   = "barrier/internal/sqlbranch/guard.go"
	session = "barrier/mysql/session.go"
	errs    = "barrier/mysql/classify.go"
	batch   = "barrier/mysql/batch.go"
	why     = "barrier/mysql/batch_why.go"
	plan    = "barrier/mysql/plan.go"
	group   = "barrier/mysql/group.go"
)

// The suite of barriertest on a store that puts branches together, and on one
// that gives each a transaction of its own.
const (
	together = "TestConformance/MySQL/ReadCommitted/"
	oneByOne = "TestConformance/MySQL/OneByOne/"
)

// mutations are the planted bugs. Most have been made by somebody: in DTM's barrier, in others', or here.
func mutations() []mutation {
	return slices.Concat(transactionBugs(), answerBugs(), batchBugs(), queueBugs())
}

// transactionBugs are about what is committed and what is undone.
func transactionBugs() []mutation {
	return []mutation{
		{
			name: "the barrier row is committed before the business",
			edits: []edit{{
				session,
				"	business := len(steps)\n",
				"	steps = append(steps, step{query: commit}, step{query: start}, step{query: savepoint})\n	business := len(steps)\n",
			}},
			test: oneByOne + "WorkErrors/NothingPersists/direct",
			says: "the state of g1-",
		},
		{
			name: "a batch's barrier rows are committed before its business",
			edits: []edit{{
				plan,
				"	p.addBusiness()\n	return p\n",
				"	p.steps = append(p.steps, step{query: commit}, step{query: start})\n	p.addBusiness()\n	return p\n",
			}},
			test: together + "CrowdGuards/OneViolatesAConstraint",
			says: `actual  : "duplicate"`,
		},
		{
			name: "a rejection is rolled back and forgotten",
			edits: []edit{{
				session,
				"[]step{{query: undo}, {updateRejected, []any{reason, b.GID, b.ID}}, {query: commit}}",
				"[]step{{query: undo}, {updateRejected, []any{reason, b.GID, b.ID}}, {query: rollback}}",
			}},
			test: oneByOne + "Rejections/Sticky/direct",
			says: `actual  : "done"`,
		},
		{
			name: "a rejection in a batch is not marked",
			edits: []edit{{
				plan,
				"	for _, f := range p.rejected {\n		reason, err",
				"	for _, f := range p.rejected[:0] {\n		reason, err",
			}},
			test: together + "Rejections/Sticky/alone",
			says: `actual  : "duplicate"`,
		},
		{
			name: "a rejection keeps what the branch did before it",
			edits: []edit{{
				session,
				"[]step{{query: undo}, {updateRejected, ",
				"[]step{{query: savepoint}, {updateRejected, ",
			}},
			test: oneByOne + "Rejections/UndoesEverything/direct",
			says: "expected: barriertest.row{available:100, held:0, gone:0}",
		},
		{
			name: "work goes on after a deadlock",
			edits: []edit{{
				guard,
				"	case g.failure != nil:\n",
				"	case g.failure != nil && g.ended:\n",
			}},
			test: oneByOne + "Deadlocks/WorkGoesOn",
			says: "what the work did after the deadlock",
		},
		{
			name:  "a lock wait is taken for a statement that the database refuses",
			edits: []edit{{errs, "	case errLockWait:\n			return sqlbranch.LockWait\n", ""}},
			test:  oneByOne + "Timeouts/RowHeldTooLong",
			says:  `"unavailable":`,
		},
		{
			name:  "a dirty connection goes back to the pool",
			edits: []edit{{session, "_, err := s.lease.Exec(ctx, rollback)\n		clean = err == nil", "clean = ctx.Err() == nil"}},
			test:  oneByOne + "WorkErrors/NothingPersists/direct",
			says:  `actual  : "duplicate"`,
		},
		{
			name:  "a batch leaves its connection dirty",
			edits: []edit{{batch, "_, err := r.lease.Exec(ctx, rollback)\n	r.open = err != nil\n	return err == nil", "return ctx.Err() == nil"}},
			test:  together + "CrowdGuards/OneViolatesAConstraint",
			says:  `actual  : "duplicate"`,
		},
		{
			name:  "a batch whose COMMIT was not acknowledged is taken for committed",
			edits: []edit{{batch, "return &sqlbranch.UnknownError{Cause: err}", "p.steps = nil"}},
			test:  together + "Network/BeforeCommit/queued",
			says:  `actual  : "done"`,
		},
	}
}

// answerBugs are about the state table.
func answerBugs() []mutation {
	return []mutation{
		{
			name: "a Cancel runs its business on an absent row",
			edits: []edit{
				{session, "	case cancel && affected == 1:\n", "	case cancel && affected == 3:\n"},
				{session, "	case cancel && affected == 2, ", "	case cancel, "},
			},
			test: oneByOne + "StateTable/EveryCellTwice/queued",
			says: `expected: "empty cancel"`,
		},
		{
			name:  "a duplicate Confirm runs",
			edits: []edit{{session, "method = NULL, request = NULL WHERE gid = ? AND branch_id = ? AND state = 1\"", "method = NULL, request = NULL WHERE gid = ? AND branch_id = ? AND state IN (1, 2)\""}},
			test:  oneByOne + "StateTable/EveryCellTwice/queued",
			says:  `expected: "duplicate"`,
		},
		{
			name:  "a late Try does not look for REJECTED",
			edits: []edit{{state, "			return RefuseAgain, s\n", "			return Replay, s\n"}},
			test:  together + "Rejections/Sticky/queued",
			says:  `expected: "rejected"`,
		},
		{
			name:  "a batch does not count the rows that its phases changed",
			edits: []edit{{plan, "		if counts[r.step] != r.want {\n", "		if counts[r.step] > r.want {\n"}},
			test:  together + "CrowdStates/EveryCell/queued",
			says:  "expected: ",
		},
		{
			name:  "a failed guard in a batch is taken for done",
			edits: []edit{{plan, "		case n == o.stmt.Rows:\n", "		case n <= o.stmt.Rows:\n"}},
			test:  together + "CrowdGuards/50PercentFailWith1Statements",
			says:  `expected: "rejected"`,
		},
	}
}

// batchBugs mix up the branches of a batch.
func batchBugs() []mutation {
	return []mutation{
		{
			name: "two rows of a batch are swapped",
			edits: []edit{{
				plan,
				"		for _, sh := range shares {\n			b := sh.Call.Branch\n			args = append(args, b.GID, b.ID, b.Method, digits(sh.Call.Request), digits(sh.Response))\n",
				"		for i, sh := range shares {\n			b := sh.Call.Branch\n			args = append(args, b.GID, b.ID, b.Method, digits(sh.Call.Request), digits(shares[(i+1)%len(shares)].Response))\n",
			}},
			test: together + "CrowdGuards/0PercentFailWith1Statements",
			says: "the response of g1-",
		},
		{
			name:  "a failed guard is put down to its neighbour",
			edits: []edit{{plan, "n := counts[p.business+i]\n", "n := counts[p.business+(i+1)%len(p.orders)]\n"}},
			test:  together + "CrowdGuards/50PercentFailWith1Statements",
			says:  `expected: "rejected"`,
		},
		{
			name:  "one Otherwise speaks for all",
			edits: []edit{{why, "errors.As(r.why(ctx, p, f), ", "errors.As(r.why(ctx, p, p.rejected[0]), "}},
			test:  together + "CrowdGuards/50PercentFailWith1Statements",
			says:  "the rejection of g1-",
		},
		{
			name:  "statements are sent in the order of the queue",
			edits: []edit{{plan, "	slices.SortStableFunc(p.orders, func(a, b order) int { return sqlbranch.CompareStmts(a.stmt, b.stmt) })\n", "	_ = sqlbranch.CompareStmts\n"}},
			test:  "TestGroupSortsStatementsByTheRowThatTheyLock/MySQL",
			says:  "Should be true",
		},
		{
			name: "a branch is in a batch twice",
			edits: []edit{
				{group, "	return g.here[k] == 1\n", "	return true\n"},
				{group, "if g.here[keyOf(sh.Call.Branch)] > 2 {", "if g.here[keyOf(sh.Call.Branch)] < 0 {"},
			},
			test: "TestGroupHasABranchAtMostOnceInABatch/MySQL",
			says: `is not less than or equal to "1"`,
		},
	}
}

// queueBugs are about those who wait, and those who went away.
func queueBugs() []mutation {
	return []mutation{
		{
			name: "who must run alone does so before its batch is rolled back",
			edits: []edit{
				{batch, "	if special = p.judge(did.rows); len(special) > 0 {\n", "	if special = p.judge(did.rows); len(special) > 0 {\n		r.sendAway(special)\n"},
				{batch, "	r.sendAway(special)\n	rest := ", "	rest := "},
			},
			test: together + "CrowdGuards/OtherwiseThatHangs",
			says: "for the others to be answered while an Otherwise hangs",
		},
		{
			name:  "who is left by its caller in the queue runs all the same",
			edits: []edit{{group, "if i := slices.Index(g.queue, sh); i >= 0 {", "if i := slices.Index(g.queue, sh); i >= 1<<20 {"}},
			test:  "TestGroupTakesOutWhomTheCallerLeftBeforeTheBatch/MySQL",
			says:  "it was taken out",
		},
		{
			name:  "who is left by its caller in a batch is not finished",
			edits: []edit{{group, "if e.verdict.Fate == sqlbranch.Committed && len(sh.After) > 0 {", "if e.verdict.Fate == sqlbranch.Alone && len(sh.After) > 0 {"}},
			test:  "TestGroupFinishesWhomTheCallerLeftInTheBatch/MySQL",
			says:  "AfterCommit did not run",
		},
		{
			name:  "who waited in vain for a row joins the next batch",
			edits: []edit{{group, "if g.closed || g.blocked.holds(sh.Share) {", "if g.closed {"}},
			test:  "TestGroupGoesOnBesideABranchThatWaitsForAnother/MySQL",
			says:  "it alone, and the others together",
		},
		{
			name:  "a full queue is an error at once",
			edits: []edit{{group, "		case <-ctx.Done():\n			return sqlbranch.Verdict{}, tcc.Retry", "		default:\n			return sqlbranch.Verdict{}, tcc.Retry"}},
			test:  "TestGroupsFullQueueHasCallersWaitUntilTheirContextEnds/MySQL",
			says:  "answered instead of queued",
		},
	}
}
