//go:build console

package main

import (
	"embed"
	"io/fs"
)

// The folder is made by the build program, which also sets the tag.
//
//go:embed all:console
var consoleFolder embed.FS

// consoleFiles returns the built console.
func consoleFiles() fs.FS {
	files, err := fs.Sub(consoleFolder, "console")
	if err != nil {
		return nil
	}
	return files
}
