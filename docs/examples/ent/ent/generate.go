// Package ent is what ent generates from the schema.
package ent

//go:generate go tool ent generate ./schema
