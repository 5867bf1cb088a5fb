CREATE TABLE IF NOT EXISTS message_transaction (
  id         VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of one half message, in the order of time',
  message_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  topic      VARCHAR(127) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state      ENUM('COMMITTED', 'ROLLED_BACK', 'LOG') NOT NULL COMMENT 'LOG: the row that names this table, by message_id',
  created_at BIGINT NOT NULL COMMENT 'Unix ms',
  PRIMARY KEY (id)
) ENGINE = InnoDB
