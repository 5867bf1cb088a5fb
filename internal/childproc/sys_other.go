//go:build unix && !linux

package childproc

import "syscall"

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit does nothing here: the child is reaped without a look before.
func awaitExit(int) bool { return false }
