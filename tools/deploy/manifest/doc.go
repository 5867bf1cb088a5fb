// Package manifest reads what Helm renders, as far as tests of the chart look into it.
package manifest
