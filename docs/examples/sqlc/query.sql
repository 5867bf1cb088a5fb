-- name: Freeze :exec
UPDATE account
SET available = available - sqlc.arg(amount), frozen = frozen + sqlc.arg(amount)
WHERE account_id = sqlc.arg(account_id) AND currency = sqlc.arg(currency) AND available >= sqlc.arg(amount);

-- name: Spend :exec
UPDATE account
SET frozen = frozen - sqlc.arg(amount), spent = spent + sqlc.arg(amount)
WHERE account_id = sqlc.arg(account_id) AND currency = sqlc.arg(currency) AND frozen >= sqlc.arg(amount);

-- name: Release :exec
UPDATE account
SET frozen = frozen - sqlc.arg(amount), available = available + sqlc.arg(amount)
WHERE account_id = sqlc.arg(account_id) AND currency = sqlc.arg(currency) AND frozen >= sqlc.arg(amount);

-- name: Deposit :exec
UPDATE account SET available = available + sqlc.arg(amount) WHERE account_id = sqlc.arg(account_id);

-- name: Available :one
SELECT available FROM account WHERE account_id = sqlc.arg(account_id) AND currency = sqlc.arg(currency);
