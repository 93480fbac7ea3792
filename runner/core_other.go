//go:build !unix

package main

// noCore has nothing to do: no file is written here.
func noCore() {}
