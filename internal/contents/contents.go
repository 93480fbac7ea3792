// Package contents says what recovery points of the kinds other than logical
// consist of: their streams, and the list of a tar's entries that travels with
// it as the proof of each file. The engines that make, check and restore such
// points share it, so that none of them depends on another. What must not live
// here: doing any of that.
package contents

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Names of streams.
const (
	// StreamArchive of files and config points is a tar in PAX format, of base backups
	// one in ustar format as the server wrote its headers.
	StreamArchive = "archive"
	// StreamEntries of points with a tar is one Entry a line, as JSON, in the order of
	// the tar.
	StreamEntries = "entries"
	// StreamOutput of command points is what the command wrote.
	StreamOutput = "output"
	// StreamManifest of base backups is backup_manifest as the server sent it, which
	// the next incremental one builds on. It is also the last file of the tar.
	StreamManifest = "manifest"
)

// Main names the stream that holds what was backed up, which `cat` writes; "" for
// a kind whose bytes are not in the repository, or that is not known.
func Main(kind string) string {
	switch job.Kind(kind) {
	case job.KindLogical:
		return logical.StreamArchive
	case job.KindFiles, job.KindConfig, job.KindPhysical:
		return StreamArchive
	case job.KindCommand:
		return StreamOutput
	case job.KindGlobals:
		return logical.StreamGlobals
	}
	return ""
}

// IsTar tells whether points of the kind hold a tar and its list.
func IsTar(kind string) bool {
	switch job.Kind(kind) {
	case job.KindFiles, job.KindConfig, job.KindPhysical:
		return true
	}
	return false
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", repo.ErrDamaged, fmt.Sprintf(format, args...))
}
