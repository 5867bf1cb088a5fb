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

// consoleFiles returns the built console and its index page.
func consoleFiles() (fs.FS, []byte) {
	files, err := fs.Sub(consoleFolder, "console")
	if err != nil {
		return nil, nil
	}
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return nil, nil
	}
	return files, index
}
