// Package tcc holds what every party of a Try/Confirm/Cancel transaction
// shares: the identity of a branch and its phases, the errors that the
// parties understand and how they travel over gRPC, the signature that says
// who began a global transaction, and the server interceptor that puts all of
// this in front of a participant's handlers.
//
// A participant installs [UnaryServerInterceptor] and lets package barrier
// guard its handlers; an initiator uses package coordinator. Neither needs
// to touch DTM's metadata.
package tcc
