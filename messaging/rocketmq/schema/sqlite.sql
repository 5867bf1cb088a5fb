CREATE TABLE IF NOT EXISTS message_transaction (
  id         TEXT NOT NULL PRIMARY KEY,
  message_id TEXT NOT NULL,
  topic      TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('COMMITTED', 'ROLLED_BACK', 'LOG')),
  created_at INTEGER NOT NULL
) WITHOUT ROWID
