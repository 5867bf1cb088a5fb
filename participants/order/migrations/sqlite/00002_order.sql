-- +goose Up
CREATE TABLE order_request (
  account_id  TEXT    NOT NULL,
  request_id  TEXT    NOT NULL,
  body_hash   BLOB    NOT NULL, -- SHA-256
  gid         TEXT    NOT NULL, -- of the current attempt
  attempt     INTEGER NOT NULL,
  tried       INTEGER NOT NULL CHECK (tried IN (0, 1)), -- 1 once TryCreate of gid has taken effect
  lease_until INTEGER NOT NULL, -- Unix milliseconds; taking over is not worth while before
  outcome     TEXT    CHECK (outcome IS NULL OR (outcome = 'REJECTED' AND reason IS NOT NULL)), -- for good
  reason      TEXT    CHECK (reason IS NULL OR json_valid(reason)), -- why the current attempt failed
  created_at  INTEGER NOT NULL, -- Unix milliseconds
  PRIMARY KEY (account_id, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX order_request_gid ON order_request (gid);

CREATE TABLE orders (
  gid          TEXT    NOT NULL PRIMARY KEY,
  account_id   TEXT    NOT NULL,
  request_id   TEXT    NOT NULL,
  status       INTEGER NOT NULL CHECK (status IN (1, 2, 3)), -- PENDING, CONFIRMED, CANCELLED, as in the API
  total_amount INTEGER NOT NULL CHECK (total_amount > 0),    -- minor units
  currency     TEXT    NOT NULL,
  reason       TEXT    CHECK (reason IS NULL OR json_valid(reason)), -- why it was cancelled
  created_at   INTEGER NOT NULL                              -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE INDEX orders_account ON orders (account_id, gid);

CREATE TABLE order_line (
  gid          TEXT    NOT NULL REFERENCES orders (gid),
  line         INTEGER NOT NULL, -- from 1, in the order of the request
  sku          TEXT    NOT NULL,
  quantity     INTEGER NOT NULL CHECK (quantity > 0),
  price_amount INTEGER NOT NULL CHECK (price_amount >= 0), -- minor units of the order's currency for one piece
  PRIMARY KEY (gid, line)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE order_line;
DROP TABLE orders;
DROP TABLE order_request;
