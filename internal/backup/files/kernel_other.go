//go:build unix && !linux

package files

import "os"

// ofTheKernel: only Linux has such file systems.
func ofTheKernel(*os.File) bool { return false }
