CREATE TABLE IF NOT EXISTS inbox (
  consumer    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  message_id  VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state       TINYINT UNSIGNED NOT NULL COMMENT '1 DONE, 2 PARKED, 3 DEAD',
  tries       INT UNSIGNED NOT NULL COMMENT 'how often it was run',
  excused     INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'those of them that do not count',
  due_at      BIGINT NULL COMMENT 'Unix ms: DONE is deleted, PARKED tried again, DEAD published; NULL: PARKED waits for the broker, DEAD is published',
  claimed_by  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'the run that has it until due_at',
  topic       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  payload     LONGBLOB NULL COMMENT 'NULL once DONE',
  metadata    MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'JSON; NULL once DONE',
  last_error  TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  received_at BIGINT NOT NULL COMMENT 'Unix ms',
  parked_at   BIGINT NULL COMMENT 'Unix ms: when it first failed, or was replayed',
  updated_at  BIGINT NOT NULL COMMENT 'Unix ms',
  PRIMARY KEY (consumer, message_id),
  KEY inbox_due (state, consumer, due_at)
) ENGINE = InnoDB
