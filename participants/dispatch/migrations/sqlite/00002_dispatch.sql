-- +goose Up
CREATE TABLE shipment (
  shipment_id TEXT    NOT NULL PRIMARY KEY, -- UUIDv7
  order_id    TEXT    NOT NULL UNIQUE,
  account_id  TEXT    NOT NULL,
  created_at  INTEGER NOT NULL -- Unix milliseconds
) STRICT, WITHOUT ROWID;

CREATE INDEX shipment_account ON shipment (account_id, shipment_id);

CREATE TABLE shipment_line (
  shipment_id TEXT    NOT NULL REFERENCES shipment (shipment_id),
  line        INTEGER NOT NULL, -- from 1, in the order of the order
  sku         TEXT    NOT NULL,
  quantity    INTEGER NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (shipment_id, line)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE shipment_line;
DROP TABLE shipment;
