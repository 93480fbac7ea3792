//go:build !unix

package spool

import "os"

// ours can not be told from a file's mode here. The server's own files are no better
// guarded.
func ours(os.FileInfo) bool { return true }

func writable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
