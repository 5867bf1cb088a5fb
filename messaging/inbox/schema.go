package inbox

import (
	_ "embed"

	"github.com/tcckit/tcckit/messaging"
)

var (
	//go:embed schema_mysql.sql
	schemaMySQL string
	//go:embed schema_sqlite.sql
	schemaSQLite string
)

// Schema returns the statement that creates the table inbox if it does not
// exist. It belongs into the consumer's migrations: the table must be in the
// same database as the business tables. Several consumers may share it.
//
// SQLite's has a second statement, for the index.
func Schema(d messaging.Dialect) string {
	if d == messaging.SQLite {
		return schemaSQLite
	}
	return schemaMySQL
}
