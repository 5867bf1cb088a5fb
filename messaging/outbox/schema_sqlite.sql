CREATE TABLE IF NOT EXISTS outbox (
  seq            INTEGER PRIMARY KEY AUTOINCREMENT,
  id             TEXT NOT NULL UNIQUE,
  topic          TEXT NOT NULL,
  message_key    TEXT NULL,
  ordered        INTEGER NOT NULL,
  expects_result INTEGER NOT NULL,
  size           INTEGER NOT NULL, -- bytes of payload and metadata
  created_at     INTEGER NOT NULL, -- Unix ms, as all times
  state          TEXT NOT NULL, -- NEW, SENT, CONFIRMED, FAILED
  tries          INTEGER NOT NULL, -- of publishing; once SENT, how often it was sent
  due_at         INTEGER NOT NULL, -- from when a relay may claim it; 0: not for now
  claimed_by     INTEGER NOT NULL, -- a number for each claim; 0: nobody
  claimed_until  INTEGER NOT NULL,
  lane           INTEGER NOT NULL, -- hash of topic and key of an ordered message that is not sent; else 0
  sent_at        INTEGER NOT NULL, -- 0: not
  settled_at     INTEGER NOT NULL, -- when the result arrived; 0: not
  last_error     TEXT NULL,
  metadata       TEXT NOT NULL, -- JSON
  payload        BLOB NOT NULL
) STRICT;
-- SQLite uses a partial index only where a query repeats its condition.
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (state, topic, due_at, seq) WHERE due_at > 0;
CREATE INDEX IF NOT EXISTS outbox_state ON outbox (state, seq);
CREATE INDEX IF NOT EXISTS outbox_lane ON outbox (lane, seq) WHERE lane > 0;
