//go:build !console

package main

import "io/fs"

// consoleFiles returns nothing: the console is not in this build.
func consoleFiles() (fs.FS, []byte) { return nil, nil }
