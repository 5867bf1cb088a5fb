//go:build !console

package main

import "io/fs"

// consoleFiles returns nil: the console is not in this build.
func consoleFiles() fs.FS { return nil }
