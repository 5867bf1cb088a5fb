// Package smoke places one order in a shop that runs, and looks at the books: what an installation does first to
// show that it works.
package smoke
