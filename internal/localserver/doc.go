// Package localserver runs real servers for tests and benchmarks: MySQL, MariaDB, Redis and RocketMQ,
// child processes on free loopback ports with their data in folders of their own, as durable as in production.
//
// The programs are those that deploy/local/get-servers.sh unpacked into the checkout.
package localserver
