// Package rpc puts a participant's services behind gRPC servers, and dials
// them.
//
// A participant has two listeners. The public one serves the methods on an
// allow-list, to callers who authenticate themselves. The internal one serves
// everything: the branches, which initiators and the coordinator call, and
// administration.
package rpc
