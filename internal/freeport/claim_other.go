//go:build !linux

package freeport

// claim gives every port: there is no name here that ends with its process.
func claim(int) bool { return true }
