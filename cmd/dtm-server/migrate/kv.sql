-- DTM's topics. Read at start and every few seconds, so the table must exist even if unused.
CREATE TABLE IF NOT EXISTS kv (
  id          BIGINT       NOT NULL AUTO_INCREMENT,
  cat         VARCHAR(45)  NOT NULL,
  k           VARCHAR(128) NOT NULL,
  v           TEXT         NULL,
  version     BIGINT       NULL DEFAULT 1,
  create_time DATETIME     NULL,
  update_time DATETIME     NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uniq_k (cat, k)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
