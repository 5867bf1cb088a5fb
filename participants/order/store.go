package order

import "github.com/tcckit/tcckit/internal/database"

// store is the service's tables.
type store struct{ db *database.DB }
