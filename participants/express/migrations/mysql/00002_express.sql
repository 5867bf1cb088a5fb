-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS express_order (
  order_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status     TINYINT NOT NULL COMMENT '1 PENDING, 2 CONFIRMED, 3 CANCELLED, as in the API',
  reason     VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'why it was cancelled',
  created_at BIGINT NOT NULL COMMENT 'Unix milliseconds',
  settled_at BIGINT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (order_id),
  KEY express_order_status (status, created_at),
  CONSTRAINT express_order_status CHECK (status IN (1, 2, 3)),
  CONSTRAINT express_order_reason CHECK ((status = 3) = (reason IS NOT NULL)),
  CONSTRAINT express_order_settled CHECK ((status = 1) = (settled_at IS NULL))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS express_order_line (
  order_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  line     INT NOT NULL COMMENT 'from 1, in the order of the request',
  sku      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quantity BIGINT NOT NULL,
  PRIMARY KEY (order_id, line),
  CONSTRAINT express_order_line_quantity CHECK (quantity > 0)
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
DROP TABLE IF EXISTS express_order_line;
DROP TABLE IF EXISTS express_order;
