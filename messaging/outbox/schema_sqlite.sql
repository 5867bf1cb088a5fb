CREATE TABLE IF NOT EXISTS outbox (
  seq            INTEGER PRIMARY KEY AUTOINCREMENT,
  id             TEXT NOT NULL UNIQUE,
  topic          TEXT NOT NULL,
  message_key    TEXT NULL,
  ordered        INTEGER NOT NULL,
  lane           TEXT NULL, -- digest of topic and key of an ordered message; NULL once it is sent
  state          TEXT NOT NULL, -- NEW, SENT, CONFIRMED, FAILED
  expects_result INTEGER NOT NULL,
  tries          INTEGER NOT NULL, -- of publishing; once SENT, how often it was sent
  due_at         INTEGER NULL, -- Unix ms from when a relay may claim it; NULL: not for now
  claimed_by     TEXT NULL,
  created_at     INTEGER NOT NULL, -- Unix ms, as all times
  sent_at        INTEGER NULL,
  settled_at     INTEGER NULL, -- when the result arrived
  last_error     TEXT NULL,
  size           INTEGER NOT NULL, -- bytes of payload and metadata
  metadata       TEXT NOT NULL, -- JSON
  payload        BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (state, topic, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_open ON outbox (state, seq) WHERE state IN ('NEW', 'FAILED');
CREATE INDEX IF NOT EXISTS outbox_lane ON outbox (lane, seq) WHERE lane IS NOT NULL;
