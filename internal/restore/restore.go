// Package restore turns a logical recovery point back into a database, in
// parallel, by ranges, without a local copy, and proves it row for row.
//
// What lives here: the order of the steps and the work of the parallel loaders.
// What must not: SQL and child processes (package postgres), the storage format
// (package repo), flags and printing (the faces).
package restore

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	Repo   *repo.Repository
	Ref    repo.Ref
	Target postgres.Target // the database to fill: made when missing, refused when not empty
	Jobs   int             // parallel loaders; default the number of CPUs, at most 8

	Select Selection // zero = everything

	NoOwner      bool // do not give objects to the roles that owned them
	NoPrivileges bool // do not restore grants
	Globals      bool // first create the roles of the backup that the server lacks
	Analyze      bool // collect planner statistics at the end
	// RoleMap gives roles of the backup another name on this server: owners, rights,
	// policies, default privileges, user mappings. Those roles must be there.
	RoleMap map[string]string
	// Isolated leaves out and blanks what could reach other servers, or run by
	// itself, from the restored database (see isolate.go): for drills.
	Isolated bool

	Log      *slog.Logger
	Progress *Progress // may be nil

	pieceSize int64 // in tests: the least that is worth a loader of its own, in plain bytes
}

// Progress is written by a running restore and read by whoever draws it.
type Progress struct {
	Expected atomic.Int64 // bytes of table data
	Loaded   atomic.Int64
	Step     atomic.Pointer[string]
}

// Result of a restore.
type Result struct {
	Ref      repo.Ref
	Database string
	Created  bool // the database was made by us
	Tables   int
	Rows     int64
	Bytes    int64
	Server   string // version of the server restored into
	// Comparison with the backup's own records; nil before it was done, and of a
	// restore that has no data.
	Comparison *comparison.Result
	LeftOut    []drillreport.LeftOut // what was not restored although it is in the backup
	Added      []string              // what was restored because the selected things need it
	Warnings   []string
	Durations  map[string]float64 // seconds of each step
}

func (r *Result) leave(what, why string) {
	r.LeftOut = append(r.LeftOut, drillreport.LeftOut{What: what, Why: why})
}

// Step is one line of a dry run.
type Step struct {
	What string `json:"what"`
}

// Errors a caller may test for.
var (
	// ErrNotEmpty: the database to restore into holds something.
	ErrNotEmpty = postgres.ErrNotEmpty
	// ErrDiffers: the restored data is not what the backup's hashes say.
	ErrDiffers = errors.New("the restored data differs from the backup")
	// ErrMissingExtensions: the server can not make extensions of the backup.
	ErrMissingExtensions = errors.New("the server lacks extensions that the backup uses")
)
