// Package branchview shows what participants remember of a global transaction:
// tcckit.barrier.v1.BarrierService.
package branchview
