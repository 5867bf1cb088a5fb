// Package certs gives gRPC and HTTP their TLS from one set of PEM files: a
// certificate with its chain, its key, and the CA whose certificates are
// believed. It serves mutual TLS within an installation, not the web: the CA
// alone is trusted, never the system's roots, and TLS 1.3 is the least.
//
// The files are read again when they change, without a restart: whoever rotates
// certificates replaces files. Handshakes after that take the new ones, and
// connections that stand live on.
package certs
