// Package testserver gives tests real servers: MySQL, MariaDB and Redis.
//
// Most tests share one server of each kind, whose address is in the environment, and get a database or
// a key prefix of their own: see MySQL, MariaDB and Redis. `make test` starts these servers once for all
// packages, by the command in the folder withservers. Tests that kill a server start a private one: StartMySQL,
// StartMariaDB, StartRedis. NewProxy stands between client and server and makes the network fail.
//
// A test that finds no server fails; only -short skips it.
package testserver

import "time"

// timeout bounds every wait of this package for something that usually takes milliseconds.
const timeout = 30 * time.Second
