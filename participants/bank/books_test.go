package bank_test

import (
	"database/sql"

	"github.com/stretchr/testify/require"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
)

// books are a bank's tables.
type books struct {
	accounts  map[string]modelAccount
	transfers map[string]booksTransfer // by request id
	credited  map[string]bool          // transfers that were credited here
}

type booksTransfer struct {
	id     string
	amount int64
	status pb.TransferStatus
}

// books reads the accounts whose ids begin with prefix, the transfers whose
// request ids do, and the bookings for those accounts.
func (b *branch) books(prefix string) books {
	b.t.Helper()
	found := books{accounts: make(map[string]modelAccount), transfers: make(map[string]booksTransfer), credited: make(map[string]bool)}
	b.each(func(rows *sql.Rows) error {
		var id string
		var a modelAccount
		err := rows.Scan(&id, &a.balance, &a.currency, &a.closed)
		found.accounts[id] = a
		return err
	}, "SELECT account_id, balance, currency, closed FROM account WHERE account_id LIKE ?", prefix+"%")
	b.each(func(rows *sql.Rows) error {
		var request string
		var t booksTransfer
		err := rows.Scan(&request, &t.id, &t.amount, &t.status)
		found.transfers[request] = t
		return err
	}, "SELECT request_id, transfer_id, amount, status FROM transfer WHERE request_id LIKE ?", prefix+"%")
	b.each(func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		found.credited[id] = true
		return err
	}, "SELECT transfer_id FROM booking WHERE reason IS NULL AND account_id LIKE ?", prefix+"%")
	return found
}

func (b *branch) each(scan func(*sql.Rows) error, query string, args ...any) {
	b.t.Helper()
	rows, err := b.db.SQL().QueryContext(b.t.Context(), query, args...)
	require.NoError(b.t, err)
	defer rows.Close()
	for rows.Next() {
		require.NoError(b.t, scan(rows))
	}
	require.NoError(b.t, rows.Err())
}

func (b books) statuses() map[string]pb.TransferStatus {
	all := make(map[string]pb.TransferStatus)
	for request, t := range b.transfers {
		all[request] = t.status
	}
	return all
}

// total is what lies in the accounts of both banks, and what is on the way
// between them.
func total(a, b books) int64 {
	return a.lies() + b.lies() + a.sentTo(b) + b.sentTo(a)
}

func (b books) lies() (sum int64) {
	for _, a := range b.accounts {
		sum += a.balance
	}
	return sum
}

// sentTo is what was taken out here, not paid back, and not credited there.
func (b books) sentTo(there books) (sum int64) {
	for _, t := range b.transfers {
		if t.status != refunded && !there.credited[t.id] {
			sum += t.amount
		}
	}
	return sum
}
