CREATE TABLE IF NOT EXISTS sub_transaction_barrier (
  gid        TEXT    NOT NULL,
  branch_id  TEXT    NOT NULL,
  state      INTEGER NOT NULL, -- 1 TRIED, 2 CONFIRMED, 3 CANCELLED, 4 EMPTY_CANCELLED, 5 REJECTED
  updated_at INTEGER NOT NULL, -- Unix time in milliseconds
  method     TEXT,             -- full gRPC method of the try; NULL once terminal
  request    BLOB,             -- request of the try, protobuf; NULL once terminal
  response   BLOB,             -- response of the try, protobuf
  reason     TEXT,             -- JSON of the rejection
  PRIMARY KEY (gid, branch_id)
) WITHOUT ROWID
