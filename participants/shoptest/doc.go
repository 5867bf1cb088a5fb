// Package shoptest tests the services together: through real gRPC servers,
// coordinated by a real DTM server, on each kind of database. It is a package
// of its own, since a service may not import another one.
package shoptest
