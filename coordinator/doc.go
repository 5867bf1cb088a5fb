// Package coordinator is the initiator's side of a Try/Confirm/Cancel
// transaction: a client of a DTM server that begins a global transaction,
// calls the Try of its branches, and commits or aborts it.
//
//	err := client.Run(ctx, func(ctx context.Context, tx *coordinator.Transaction) error {
//		return tx.Try(ctx, order, account, stock)
//	})
//
// Run returns nil when the coordinator has durably decided to commit, and
// otherwise one of four errors, told apart with errors.As:
//
//   - [*RejectedError]: a participant said no; who, and why. Nothing changed.
//   - [*AbortedError]: it ended without a business reason. Nothing changed.
//   - [*UnavailableError]: the coordinator is away. Nothing was begun.
//   - [*UnknownError]: whether it was committed could not be found out.
//     [Client.Query] tells later, [Client.Settle] makes sure of it; do not
//     repeat the work under a new gid before.
//
// Each carries the gid, and is a gRPC status fit for the initiator's own
// caller.
//
// # What is called when
//
// Begin sends Prepare. Each branch is registered with the coordinator before
// its Try is called. Then Submit or Abort. A committed transaction of N
// branches costs the initiator 2+N calls to the coordinator and N Trys, the
// Trys of one call of [Transaction.Try] at once. The coordinator calls Confirm
// or Cancel of the branches one at a time, in reverse order of registration,
// and stops at the first failure until it retries: register first the branch
// whose Confirm announces the result.
//
// # Calls that are sent once
//
// DTM loses a transaction whose Submit is repeated: it then marks it succeeded
// and calls no Confirm. Submit and RegisterBranch are therefore sent at most
// once, whatever retry policy or retry interceptor the connection has. An
// interceptor that drops the options of a call, or a proxy between initiator
// and coordinator that retries by itself, is beyond the client's reach: do not
// install such a one. (cmd/dtm-server makes a repeated Submit harmless; stock
// DTM does not.)
package coordinator
