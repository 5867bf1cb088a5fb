-- +goose Up
CREATE TABLE account (
  account_id TEXT    NOT NULL PRIMARY KEY,
  currency   TEXT    NOT NULL CHECK (length(currency) = 3),
  available  INTEGER NOT NULL CHECK (available >= 0), -- minor units, to be spent
  frozen     INTEGER NOT NULL CHECK (frozen >= 0),    -- minor units, set aside by a Try
  spent      INTEGER NOT NULL CHECK (spent >= 0),     -- minor units, gone by a Confirm
  created_at INTEGER NOT NULL                         -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE TABLE handled_request (
  request_id TEXT    NOT NULL PRIMARY KEY,
  body_hash  BLOB    NOT NULL, -- SHA-256
  response   BLOB    NOT NULL, -- protobuf
  created_at INTEGER NOT NULL  -- Unix milliseconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE handled_request;
DROP TABLE account;
