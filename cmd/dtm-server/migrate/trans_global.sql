-- One row per global transaction. Collation: DTM's own gids differ in case only, and a case-insensitive
-- key would merge two of them. Texts that a caller fills are not limited to DTM's varchar(1024), where a
-- long rollback reason makes the Abort fail.
CREATE TABLE IF NOT EXISTS trans_global (
  id                 BIGINT        NOT NULL AUTO_INCREMENT,
  gid                VARCHAR(128)  NOT NULL,
  trans_type         VARCHAR(45)   NOT NULL,
  status             VARCHAR(12)   NOT NULL COMMENT 'prepared, submitted, aborting, succeed, failed',
  query_prepared     VARCHAR(1024) NOT NULL,
  protocol           VARCHAR(45)   NOT NULL COMMENT 'http, grpc, json-rpc',
  create_time        DATETIME      NULL,
  update_time        DATETIME      NULL,
  finish_time        DATETIME      NULL,
  rollback_time      DATETIME      NULL,
  options            TEXT          NULL     COMMENT 'JSON: timeouts, headers for the branches',
  custom_data        TEXT          NULL,
  next_cron_interval INT           NULL     COMMENT 'seconds',
  next_cron_time     DATETIME      NULL,
  owner              VARCHAR(128)  NOT NULL DEFAULT '' COMMENT 'server that took it for a retry',
  ext_data           TEXT          NULL,
  result             TEXT          NULL,
  rollback_reason    TEXT          NULL,
  PRIMARY KEY (id),
  UNIQUE KEY gid (gid),
  KEY owner (owner),
  KEY status_next_cron_time (status, next_cron_time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
