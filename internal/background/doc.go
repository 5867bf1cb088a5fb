// Package background keeps the shop running behind the back of the shell: one process, of a session of its
// own, that has all others as its children, with its state in a folder.
//
// A lock on a file in that folder says that it runs. The system drops the lock when the process ends, however
// it ends, so a process id is never trusted that may be another's by now.
package background
