//go:build unix

package main

import "golang.org/x/sys/unix"

// noCore keeps the system from writing the program's memory, which holds keys, into a
// file when it crashes.
func noCore() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
