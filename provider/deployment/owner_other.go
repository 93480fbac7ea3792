//go:build !unix

package deployment

import "io/fs"

// owner is not known where files have none by number.
func owner(fs.FileInfo) (uid, gid string, known bool) { return "", "", false }
