package mysql

import _ "embed"

// Schema creates the barrier's table if it does not exist. It belongs into
// the participant's migrations: the table must be in the same database as the
// business tables.
//
// One row holds one branch. The key has a binary collation, for a
// case-insensitive one would merge two gids, and is the only index: every
// other would cost a write, and a second unique one deadlocks concurrent
// deliveries of the same branch.
//
//go:embed schema.sql
var Schema string

// ResolutionSchema creates the table barrier_resolution if it does not exist: the
// record of branches that were finished in the coordinator's place. Only a
// barrier.Resolver needs it. It belongs into the participant's migrations, beside
// [Schema]; nothing is ever deleted from it.
//
//go:embed resolution_schema.sql
var ResolutionSchema string
