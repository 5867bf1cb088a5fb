CREATE TABLE IF NOT EXISTS inbox (
  consumer    TEXT    NOT NULL,
  message_id  TEXT    NOT NULL,
  state       INTEGER NOT NULL, -- 1 DONE, 2 PARKED, 3 DEAD
  tries       INTEGER NOT NULL, -- how often it was run
  excused     INTEGER NOT NULL DEFAULT 0, -- those of them that do not count
  due_at      INTEGER, -- Unix ms: DONE is deleted, PARKED tried again, DEAD published; NULL: PARKED waits for the broker, DEAD is published
  claimed_by  TEXT,    -- the run that has it until due_at
  topic       TEXT,
  payload     BLOB,    -- NULL once DONE
  metadata    TEXT,    -- JSON; NULL once DONE
  last_error  TEXT,
  received_at INTEGER NOT NULL, -- Unix ms
  parked_at   INTEGER, -- Unix ms: when it first failed, or was replayed
  updated_at  INTEGER NOT NULL, -- Unix ms
  PRIMARY KEY (consumer, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inbox_due ON inbox (state, consumer, due_at)
