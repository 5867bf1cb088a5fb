-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS item (
  sku          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  price_amount BIGINT NOT NULL COMMENT 'minor units for one piece',
  currency     CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  available    BIGINT NOT NULL COMMENT 'pieces to be had',
  reserved     BIGINT NOT NULL COMMENT 'pieces set aside by a Try',
  sold         BIGINT NOT NULL COMMENT 'pieces gone by a Confirm',
  created_at   BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (sku),
  CONSTRAINT item_price CHECK (price_amount >= 0),
  CONSTRAINT item_available CHECK (available >= 0),
  CONSTRAINT item_reserved CHECK (reserved >= 0),
  CONSTRAINT item_sold CHECK (sold >= 0)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS handled_request (
  request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body_hash  BINARY(32) NOT NULL COMMENT 'SHA-256',
  response   VARBINARY(1024) NOT NULL COMMENT 'protobuf',
  created_at BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (request_id)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE IF EXISTS handled_request;
DROP TABLE IF EXISTS item;
