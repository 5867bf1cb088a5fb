// Package demo shows what the framework promises, on real processes: each step does something through the
// gRPC API, reads the figures back through it, and holds only if they are as they must be.
package demo
