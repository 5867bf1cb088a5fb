CREATE TABLE IF NOT EXISTS barrier_resolution (
  gid          TEXT    NOT NULL,
  branch_id    TEXT    NOT NULL,
  id           TEXT    NOT NULL, -- digest of phase, basis, decided_by and reason
  phase        INTEGER NOT NULL, -- 2 confirm, 3 cancel
  basis        TEXT    NOT NULL, -- coordinator, operator
  decided_by   TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  method       TEXT    NOT NULL, -- full gRPC method that was called
  state_before INTEGER NOT NULL, -- as in sub_transaction_barrier; 0 no row
  state_after  INTEGER,
  attempts     INTEGER NOT NULL,
  error        TEXT,             -- what the last attempt met
  started_at   INTEGER NOT NULL, -- Unix time in milliseconds
  attempted_at INTEGER NOT NULL,
  finished_at  INTEGER,          -- NULL: begun, and the end was not written down
  PRIMARY KEY (gid, branch_id, id)
) WITHOUT ROWID
