// Package compose holds what deploy/compose.yaml reads, and the tests of that file: its rules, and that the shop
// which it describes starts from the images' file systems and takes an order.
package compose
