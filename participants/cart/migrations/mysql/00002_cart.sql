-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS cart_line (
  account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  line_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'UUIDv7',
  sku        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quantity   BIGINT NOT NULL,
  created_at BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (account_id, line_id),
  CONSTRAINT cart_line_quantity CHECK (quantity > 0)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS handled_request (
  request_id VARCHAR(129) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'account_id/request_id',
  body_hash  BINARY(32) NOT NULL COMMENT 'SHA-256',
  response   VARBINARY(1024) NOT NULL COMMENT 'protobuf',
  created_at BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (request_id)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE IF EXISTS handled_request;
DROP TABLE IF EXISTS cart_line;
