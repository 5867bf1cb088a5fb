package childproc

import "fmt"

// ExitError says that a child ended with a status other than 0, or by a signal.
type ExitError struct {
	// Name is the program's.
	Name string
	// Output is the last lines that it wrote.
	Output string
	// Err is what os/exec says about its end, usually an *exec.ExitError.
	Err error
}

// Error implements error; it contains the last lines of output.
func (e *ExitError) Error() string {
	if e.Output == "" {
		return fmt.Sprintf("%s ended: %v; it wrote nothing", e.Name, e.Err)
	}
	return fmt.Sprintf("%s ended: %v; last output:\n%s", e.Name, e.Err, e.Output)
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }
