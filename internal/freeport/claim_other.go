//go:build !unix

package freeport

// claim gives every port: there is no lock here that ends with its process.
func claim(int) bool { return true }
