-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS account (
  account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  currency   CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  balance    BIGINT NOT NULL COMMENT 'minor units',
  closed     TINYINT NOT NULL COMMENT '1: takes no credits any more, but refunds',
  created_at BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (account_id),
  CONSTRAINT account_balance CHECK (balance >= 0),
  CONSTRAINT account_closed CHECK (closed IN (0, 1))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS transfer (
  transfer_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'follows from this bank and the request_id',
  request_id      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  to_bank         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  to_account_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount          BIGINT NOT NULL COMMENT 'minor units',
  currency        CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status          TINYINT NOT NULL COMMENT '1 SENT, 2 CREDITED, 3 REFUNDED, as in the API',
  reason          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'why it was refunded',
  created_at      BIGINT NOT NULL COMMENT 'Unix milliseconds',
  settled_at      BIGINT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (transfer_id),
  KEY transfer_status (status, created_at),
  CONSTRAINT transfer_amount CHECK (amount > 0),
  CONSTRAINT transfer_status CHECK (status IN (1, 2, 3)),
  CONSTRAINT transfer_reason CHECK ((status = 3) = (reason IS NOT NULL)),
  CONSTRAINT transfer_settled CHECK ((status = 1) = (settled_at IS NULL))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS booking (
  transfer_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_bank   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount      BIGINT NOT NULL COMMENT 'minor units',
  currency    CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'why it was not credited; NULL if it was',
  booked_at   BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (transfer_id),
  CONSTRAINT booking_amount CHECK (amount > 0)
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
DROP TABLE IF EXISTS booking;
DROP TABLE IF EXISTS transfer;
DROP TABLE IF EXISTS account;
