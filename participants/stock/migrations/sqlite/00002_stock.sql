-- +goose Up
CREATE TABLE item (
  sku          TEXT    NOT NULL PRIMARY KEY,
  price_amount INTEGER NOT NULL CHECK (price_amount >= 0), -- minor units for one piece
  currency     TEXT    NOT NULL CHECK (length(currency) = 3),
  available    INTEGER NOT NULL CHECK (available >= 0),    -- pieces to be had
  reserved     INTEGER NOT NULL CHECK (reserved >= 0),     -- pieces set aside by a Try
  sold         INTEGER NOT NULL CHECK (sold >= 0),         -- pieces gone by a Confirm
  created_at   INTEGER NOT NULL                            -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE TABLE handled_request (
  request_id TEXT    NOT NULL PRIMARY KEY,
  body_hash  BLOB    NOT NULL, -- SHA-256
  response   BLOB    NOT NULL, -- protobuf
  created_at INTEGER NOT NULL  -- Unix milliseconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE handled_request;
DROP TABLE item;
