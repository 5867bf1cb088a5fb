// Package database opens a participant's database from a DSN, with the
// barrier's store on it, and brings its tables up to date.
//
// MySQL, MariaDB and SQLite are spoken. What differs between them is in
// [Dialect]; the participants' statements are otherwise the same for all.
package database
