-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS order_request (
  account_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body_hash   BINARY(32) NOT NULL COMMENT 'SHA-256',
  gid         VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of the current attempt',
  attempt     INT NOT NULL,
  tried       TINYINT NOT NULL COMMENT '1 once TryCreate of gid has taken effect',
  lease_until BIGINT NOT NULL COMMENT 'Unix milliseconds; taking over is not worth while before',
  outcome     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'REJECTED, for good',
  reason      JSON NULL COMMENT 'why the current attempt failed',
  created_at  BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (account_id, request_id),
  KEY order_request_gid (gid),
  CONSTRAINT order_request_tried CHECK (tried IN (0, 1)),
  CONSTRAINT order_request_outcome CHECK (outcome IS NULL OR (outcome = 'REJECTED' AND reason IS NOT NULL))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS orders (
  gid          VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status       TINYINT NOT NULL COMMENT '1 PENDING, 2 CONFIRMED, 3 CANCELLED, as in the API',
  total_amount BIGINT NOT NULL COMMENT 'minor units',
  currency     CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason       JSON NULL COMMENT 'why it was cancelled',
  created_at   BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (gid),
  KEY orders_account (account_id, gid),
  CONSTRAINT orders_status CHECK (status IN (1, 2, 3)),
  CONSTRAINT orders_total CHECK (total_amount > 0)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS order_line (
  gid          VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  line         INT NOT NULL COMMENT 'from 1, in the order of the request',
  sku          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quantity     BIGINT NOT NULL,
  price_amount BIGINT NOT NULL COMMENT 'minor units of the order''s currency for one piece',
  PRIMARY KEY (gid, line),
  CONSTRAINT order_line_quantity CHECK (quantity > 0),
  CONSTRAINT order_line_price CHECK (price_amount >= 0)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE IF EXISTS order_line;
DROP TABLE IF EXISTS orders;
DROP TABLE IF EXISTS order_request;
