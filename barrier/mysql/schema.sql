CREATE TABLE IF NOT EXISTS sub_transaction_barrier (
  gid        VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  branch_id  VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state      TINYINT UNSIGNED NOT NULL COMMENT '1 TRIED, 2 CONFIRMED, 3 CANCELLED, 4 EMPTY_CANCELLED, 5 REJECTED',
  updated_at DATETIME(3) NOT NULL COMMENT 'UTC',
  method     VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'full gRPC method of the try; NULL once terminal',
  request    MEDIUMBLOB NULL COMMENT 'request of the try, protobuf; NULL once terminal',
  response   BLOB NULL COMMENT 'response of the try, protobuf',
  reason     TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'JSON of the rejection',
  PRIMARY KEY (gid, branch_id)
) ENGINE = InnoDB
