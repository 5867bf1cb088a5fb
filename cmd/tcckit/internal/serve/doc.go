// Package serve runs any set of the shop's services in one process.
package serve
