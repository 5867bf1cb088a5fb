CREATE TABLE account (
  account_id VARCHAR(64) NOT NULL PRIMARY KEY,
  currency   CHAR(3)     NOT NULL,
  available  BIGINT      NOT NULL CHECK (available >= 0), -- minor units, to be spent
  frozen     BIGINT      NOT NULL CHECK (frozen >= 0),    -- minor units, set aside by a Try
  spent      BIGINT      NOT NULL CHECK (spent >= 0)      -- minor units, gone by a Confirm
);
