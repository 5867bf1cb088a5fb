-- +goose Up
CREATE TABLE account (
  account_id TEXT    NOT NULL PRIMARY KEY,
  currency   TEXT    NOT NULL CHECK (length(currency) = 3),
  balance    INTEGER NOT NULL CHECK (balance >= 0),     -- minor units
  closed     INTEGER NOT NULL CHECK (closed IN (0, 1)), -- 1: takes no credits any more, but refunds
  created_at INTEGER NOT NULL                           -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer (
  transfer_id     TEXT    NOT NULL PRIMARY KEY, -- follows from this bank and the request_id
  request_id      TEXT    NOT NULL,
  from_account_id TEXT    NOT NULL,
  to_bank         TEXT    NOT NULL,
  to_account_id   TEXT    NOT NULL,
  amount          INTEGER NOT NULL CHECK (amount > 0), -- minor units
  currency        TEXT    NOT NULL,
  status          INTEGER NOT NULL CHECK (status IN (1, 2, 3)), -- SENT, CREDITED, REFUNDED, as in the API
  reason          TEXT    CHECK ((status = 3) = (reason IS NOT NULL)), -- why it was refunded
  created_at      INTEGER NOT NULL, -- Unix milliseconds
  settled_at      INTEGER CHECK ((status = 1) = (settled_at IS NULL)) -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE INDEX transfer_status ON transfer (status, created_at);

CREATE TABLE booking (
  transfer_id TEXT    NOT NULL PRIMARY KEY,
  from_bank   TEXT    NOT NULL,
  account_id  TEXT    NOT NULL,
  amount      INTEGER NOT NULL CHECK (amount > 0), -- minor units
  currency    TEXT    NOT NULL,
  reason      TEXT,            -- why it was not credited; NULL if it was
  booked_at   INTEGER NOT NULL -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE TABLE handled_request (
  request_id TEXT    NOT NULL PRIMARY KEY,
  body_hash  BLOB    NOT NULL, -- SHA-256
  response   BLOB    NOT NULL, -- protobuf
  created_at INTEGER NOT NULL  -- Unix milliseconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE handled_request;
DROP TABLE booking;
DROP TABLE transfer;
DROP TABLE account;
