package freeport

import (
	"fmt"
	"syscall"
)

// claim takes a port for as long as this process runs: it binds an abstract socket, a name that all
// processes of this network see and that the system lets go of when the process ends, however it does,
// leaving no file behind. It reports false if somebody, this process included, has the port. Where there
// are no such sockets nothing can be claimed, and every port is given.
func claim(port int) bool {
	// A raw descriptor: an os.File would be closed, and with it the name lost, when nobody refers to it.
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: fmt.Sprintf("@tcckit-port-%d", port)})
	if err != nil {
		_ = syscall.Close(fd)
	}
	return err != syscall.EADDRINUSE
}
