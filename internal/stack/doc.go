// Package stack runs the shop as it runs in production, on one machine: each service a process of its own,
// with a database of its own, and a DTM server. All of them are children that cannot outlive this process.
package stack
