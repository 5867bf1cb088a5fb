-- +goose Up
CREATE TABLE express_order (
  order_id   TEXT    NOT NULL PRIMARY KEY,
  request_id TEXT    NOT NULL,
  account_id TEXT    NOT NULL,
  status     INTEGER NOT NULL CHECK (status IN (1, 2, 3)), -- PENDING, CONFIRMED, CANCELLED, as in the API
  reason     TEXT    CHECK ((status = 3) = (reason IS NOT NULL)), -- why it was cancelled
  created_at INTEGER NOT NULL, -- Unix milliseconds
  settled_at INTEGER CHECK ((status = 1) = (settled_at IS NULL)) -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE INDEX express_order_status ON express_order (status, created_at);

CREATE TABLE express_order_line (
  order_id TEXT    NOT NULL REFERENCES express_order (order_id),
  line     INTEGER NOT NULL, -- from 1, in the order of the request
  sku      TEXT    NOT NULL,
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (order_id, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE handled_request (
  request_id TEXT    NOT NULL PRIMARY KEY,
  body_hash  BLOB    NOT NULL, -- SHA-256
  response   BLOB    NOT NULL, -- protobuf
  created_at INTEGER NOT NULL  -- Unix milliseconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE handled_request;
DROP TABLE express_order_line;
DROP TABLE express_order;
