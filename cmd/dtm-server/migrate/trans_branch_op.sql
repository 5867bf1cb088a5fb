-- Two rows per branch of a TCC transaction: its confirm and its cancel. bin_data holds the request, up to
-- gRPC's 4 MB where DTM's own schema ends at 64 KB.
CREATE TABLE IF NOT EXISTS trans_branch_op (
  id            BIGINT        NOT NULL AUTO_INCREMENT,
  gid           VARCHAR(128)  NOT NULL,
  url           VARCHAR(1024) NOT NULL,
  data          TEXT          NULL     COMMENT 'unused by DTM v1.19',
  bin_data      MEDIUMBLOB    NULL,
  branch_id     VARCHAR(128)  NOT NULL,
  op            VARCHAR(45)   NOT NULL COMMENT 'confirm, cancel; others in other kinds of transaction',
  status        VARCHAR(45)   NOT NULL COMMENT 'prepared, succeed, failed',
  finish_time   DATETIME      NULL,
  rollback_time DATETIME      NULL,
  create_time   DATETIME      NULL,
  update_time   DATETIME      NULL,
  PRIMARY KEY (id),
  UNIQUE KEY gid_uniq (gid, branch_id, op)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
