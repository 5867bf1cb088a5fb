package sqlite

import _ "embed"

// ResolutionSchema creates the table barrier_resolution if it does not exist: the
// record of branches that were finished in the coordinator's place. Only a
// barrier.Resolver needs it. It belongs into the participant's migrations, beside
// [Schema]; nothing is ever deleted from it.
//
//go:embed resolution_schema.sql
var ResolutionSchema string
