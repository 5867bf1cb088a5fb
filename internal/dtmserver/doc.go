// Package dtmserver runs a DTM server (cmd/dtm-server) as a child process: for the demo, for the stack that
// `make up` keeps running, and for tests, which kill it and start it again. The child does not outlive this
// process, however this process ends.
//
// It also runs the stock build, which listens on all interfaces and so is for tests alone.
package dtmserver
