-- +goose Up
-- Every statement may be run again: MySQL commits each by itself.
CREATE TABLE IF NOT EXISTS account (
  account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  currency   CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  available  BIGINT NOT NULL COMMENT 'minor units, to be spent',
  frozen     BIGINT NOT NULL COMMENT 'minor units, set aside by a Try',
  spent      BIGINT NOT NULL COMMENT 'minor units, gone by a Confirm',
  created_at BIGINT NOT NULL COMMENT 'Unix milliseconds',
  PRIMARY KEY (account_id),
  CONSTRAINT account_available CHECK (available >= 0),
  CONSTRAINT account_frozen CHECK (frozen >= 0),
  CONSTRAINT account_spent CHECK (spent >= 0)
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
DROP TABLE IF EXISTS account;
