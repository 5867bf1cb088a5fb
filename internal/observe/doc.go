// Package observe gives a process its logs, metrics and traces, and an admin listener to read them from.
//
// Nothing is registered globally: what a Telemetry holds is passed to those who record.
package observe
