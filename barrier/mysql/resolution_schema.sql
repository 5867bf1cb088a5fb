CREATE TABLE IF NOT EXISTS barrier_resolution (
  gid          VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  branch_id    VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id           CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'digest of phase, basis, decided_by and reason',
  phase        TINYINT UNSIGNED NOT NULL COMMENT '2 confirm, 3 cancel',
  basis        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'coordinator, operator',
  decided_by   VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  reason       TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  method       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'full gRPC method that was called',
  state_before TINYINT UNSIGNED NOT NULL COMMENT 'as in sub_transaction_barrier; 0 no row',
  state_after  TINYINT UNSIGNED NULL,
  attempts     INT UNSIGNED NOT NULL,
  error        TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'what the last attempt met',
  started_at   DATETIME(3) NOT NULL COMMENT 'UTC',
  attempted_at DATETIME(3) NOT NULL COMMENT 'UTC',
  finished_at  DATETIME(3) NULL COMMENT 'UTC; NULL: begun, and the end was not written down',
  PRIMARY KEY (gid, branch_id, id)
) ENGINE = InnoDB
