-- +goose Up
CREATE TABLE cart_line (
  account_id TEXT    NOT NULL,
  line_id    TEXT    NOT NULL, -- UUIDv7
  sku        TEXT    NOT NULL,
  quantity   INTEGER NOT NULL CHECK (quantity > 0),
  created_at INTEGER NOT NULL, -- Unix milliseconds
  PRIMARY KEY (account_id, line_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE handled_request (
  request_id TEXT    NOT NULL PRIMARY KEY, -- account_id/request_id
  body_hash  BLOB    NOT NULL, -- SHA-256
  response   BLOB    NOT NULL, -- protobuf
  created_at INTEGER NOT NULL  -- Unix milliseconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE handled_request;
DROP TABLE cart_line;
