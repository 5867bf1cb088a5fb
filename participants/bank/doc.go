// Package bank is the service that is a bank: it keeps accounts, and transfers
// money to other banks by message. It is served once for each bank, each with a
// database of its own.
//
// # A transfer
//
//   - Transfer takes the amount out of the account and inserts the transfer as
//     SENT, in the transaction that also decides about the message TransferSent
//     to the other bank: both happen or neither, which is for [Sender].
//   - The other bank inserts a booking and credits the account, or writes down
//     in the booking why not, in the transaction that holds the message's inbox
//     row, and answers TransferSettled through its outbox.
//   - This bank makes the transfer CREDITED, or REFUNDED and pays back, in the
//     transaction of that message's inbox row.
//
// So money is in an account, or in a transfer that is SENT and not booked as
// credited; the sum never changes.
//
// # Once
//
// A transfer's id follows from the bank and the request_id, and is its primary
// key in both banks. However often a request is sent, and whatever became of the
// answers, there is one transfer; however many messages say the same, under
// whatever message ids, there is one booking. A refund happens on the step from
// SENT to REFUNDED, which there is once.
package bank
