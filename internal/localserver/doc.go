// Package localserver runs real servers for tests and benchmarks: MySQL, MariaDB and Redis, each a child
// process on a free loopback port with its data in a folder of its own, as durable as in production.
//
// The programs are those that deploy/local/get-servers.sh unpacked into the checkout.
package localserver
