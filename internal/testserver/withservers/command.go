//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

const (
	// superviseArg makes this program the supervisor of a command.
	superviseArg = "supervise"
	// killAfter is how long a command may take to end after a signal.
	killAfter = 20 * time.Second
)

// execute runs a command in a process group of its own and returns its status. Between it and this
// process stands a supervisor, a second instance of this program, in the same group. When the command
// ends, and when this process dies, however that happens, the supervisor kills the group: with it the
// test programs that go test started, which no death signal would reach.
func execute(signals <-chan os.Signal, command, environ []string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	report, reportWriter, err := os.Pipe()
	if err != nil {
		return 1, err
	}
	defer report.Close()
	cmd := exec.Command(self, append([]string{superviseArg}, command...)...) //nolint:noctx // what the user asked for; ended below
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{reportWriter} // its file 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait, or by the system when this process dies
		return 1, err
	}
	err = cmd.Start()
	_ = reportWriter.Close() // the supervisor has it
	if err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := await(signals, cmd.Process.Pid, ended); err != nil && cmd.ProcessState == nil {
		return 1, err
	}
	status := exitStatus(cmd.ProcessState)
	if _, err := fmt.Fscan(report, &status); err != nil && !errors.Is(err, io.EOF) {
		return 1, err
	}
	return status, nil
}

// await waits for the end of a process group's leader and passes signals on to the group.
func await(signals <-chan os.Signal, group int, ended <-chan error) error {
	var kill <-chan time.Time
	for {
		select {
		case err := <-ended:
			return err
		case s := <-signals:
			sig, ok := s.(syscall.Signal)
			if !ok || kill != nil {
				sig = syscall.SIGKILL
			}
			fmt.Fprintf(os.Stderr, "withservers: sending %s to the command\n", sig)
			_ = syscall.Kill(-group, sig) // it may have ended just now
			kill = time.After(killAfter)
		case <-kill:
			_ = syscall.Kill(-group, syscall.SIGKILL)
		}
	}
}

// supervise runs a command, writes its status to file 3 and kills its own process group. It does the
// latter, too, when its standard input ends.
func supervise(command []string) {
	// It outlasts these, which the whole group gets, to report the command's status.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM)
	report := os.NewFile(3, "report")
	syscall.CloseOnExec(int(report.Fd()))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		killGroup()
	}()
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // what the user asked for; it ends with the group
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	status := 127
	if err := cmd.Run(); cmd.ProcessState != nil {
		status = exitStatus(cmd.ProcessState)
	} else {
		fmt.Fprintln(os.Stderr, "withservers:", err)
	}
	fmt.Fprintln(report, status)
	killGroup()
}

// killGroup kills this process and its group.
func killGroup() {
	_ = syscall.Kill(0, syscall.SIGKILL)
	select {} // until the signal has arrived
}

// exitStatus is a shell's: 128 and the signal's number for a process that died of one.
func exitStatus(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
