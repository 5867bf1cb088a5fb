// Package testserver gives tests real servers: MySQL, MariaDB, Redis and RocketMQ.
//
// Most tests share one server of each kind, whose address is in the environment, and get a database or
// a key prefix of their own: see MySQL, MariaDB, Redis and RocketMQ. `make test` starts these servers once for all
// packages, by the command in the folder withservers. Tests that kill a server start a private one: StartMySQL,
// StartMariaDB, StartRedis, StartRocketMQ. NewProxy stands between client and server and makes the network fail.
//
// A test that finds no server fails; only -short skips it.
package testserver

import "time"

// timeout bounds every wait of this package for something that usually takes milliseconds.
const timeout = 30 * time.Second
