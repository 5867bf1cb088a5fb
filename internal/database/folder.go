package database

import (
	"embed"
	"io/fs"
)

// Folder is the folder migrations of an embedded file system, as Config wants
// it: with a folder for each dialect.
func Folder(files embed.FS) fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		return files // fs.Sub fails only for a malformed path
	}
	return sub
}
