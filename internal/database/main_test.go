package database_test

import (
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// migrations are a participant's with the tables that the tests use.
func migrations() fstest.MapFS {
	return fstest.MapFS{
		"mysql/00002_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE IF NOT EXISTS thing (id VARCHAR(64) NOT NULL PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS handled_request (
  request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  body_hash BINARY(32) NOT NULL, response VARBINARY(1024) NOT NULL, created_at BIGINT NOT NULL);
`)},
		"sqlite/00002_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE thing (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT;
CREATE TABLE handled_request (request_id TEXT NOT NULL PRIMARY KEY,
  body_hash BLOB NOT NULL, response BLOB NOT NULL, created_at INTEGER NOT NULL) STRICT;
`)},
	}
}
