// Package systemd holds units for machines without containers, and their tests.
package systemd
