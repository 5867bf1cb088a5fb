// Package barrier guards the branches of a participant: it runs each phase's
// business in one local database transaction together with one row that
// remembers what became of the branch, so that duplicates, empty cancels,
// late tries and crashes at any line come out right.
//
// A handler is three short functions:
//
//	func (s *Server) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
//		return barrier.Try(ctx, s.store, req, func(ctx context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
//			tx.Queue(barrier.Stmt{
//				Query: "UPDATE account SET available = available - ?, frozen = frozen + ? WHERE id = ? AND available >= ?",
//				Args:  []any{req.Amount, req.Amount, req.Account, req.Amount},
//				Key:   req.Account,
//				Rows:  1,
//				Otherwise: func(ctx context.Context, tx barrier.Tx) error {
//					return tcc.Reject("INSUFFICIENT_BALANCE", "", nil)
//				},
//			})
//			return &pb.TryDebitResponse{}, nil
//		})
//	}
//
// The stores are in packages barrier/mysql (MySQL and MariaDB) and
// barrier/sqlite. Package barrier/barriertest has the cases that every store
// must pass. The states and what is promised are in docs/guarantees.md.
package barrier
