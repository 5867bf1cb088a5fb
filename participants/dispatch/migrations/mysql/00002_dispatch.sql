-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS shipment (
  shipment_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'UUIDv7',
  order_id    VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at  BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (shipment_id),
  UNIQUE KEY shipment_order (order_id),
  KEY shipment_account (account_id, shipment_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS shipment_line (
  shipment_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  line        INT NOT NULL COMMENT 'from 1, in the order of the order',
  sku         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quantity    BIGINT NOT NULL,
  PRIMARY KEY (shipment_id, line),
  CONSTRAINT shipment_line_quantity CHECK (quantity > 0)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE IF EXISTS shipment_line;
DROP TABLE IF EXISTS shipment;
