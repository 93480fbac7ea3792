// Package physical makes a data directory of a base backup, ready to be recovered by
// the archived WAL to a moment, and, when asked, starts it and reports the moment
// that was reached.
//
// What lives here: which base backup and which chain of increments it takes, filling
// the directory by ranges in parallel, what stays of a directory that is there
// (delta), where tablespaces go, the settings of recovery, and the first start. What
// must not: which base backup reaches a moment (package archive), the form of stored
// points (packages repo and contents), bringing segments back (package wal/fetch,
// which the server calls itself), flags and printing (the faces).
package physical

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// What the server does when it has reached the target.
const (
	Promote  = "promote"  // it begins a new timeline and serves
	Pause    = "pause"    // it answers questions, until somebody resumes or promotes it
	Shutdown = "shutdown" // it ends
)

// What becomes of the archiving that the server of the backup did.
const (
	ArchivePreserve = "preserve" // as its configuration says
	ArchiveOff      = "off"      // a copy that must not write to the archive of the first
)

// Options of Run and Examine.
type Options struct {
	Repo *repo.Repository
	// Source of the base backups, and of the archive of their WAL.
	Source string
	// Archive of the WAL; the zero value is the one of the source's newest base backup,
	// or of Point.
	Archive repo.WALArchive
	Target  archive.Target
	Point   string // id of the base backup; "" is the newest that reaches the target
	// Choice of Choose; nil: Run and Examine choose themselves.
	Choice *Choice

	Directory string // the data directory: made when missing
	// Delta fills a directory that has a data directory of the same system: what is in
	// it and not in the backup is removed, and only files that differ are fetched.
	Delta bool
	// Tablespaces says where tablespaces go: their location on the server, or their OID,
	// to the new one. Others go below TablespaceDir, by their OID, or where that is ""
	// to where they were.
	Tablespaces   map[string]string
	TablespaceDir string

	Action         string            // Promote (the default), Pause or Shutdown
	RestoreCommand string            // of the server, with %f and %p
	ArchiveMode    string            // ArchivePreserve (the default) or ArchiveOff
	Settings       map[string]string // more of postgresql.auto.conf, unquoted
	Jobs           int               // ranges read at once; default the number of CPUs, at most DefaultJobs
	// Programs is the directory of PostgreSQL's programs, for Start and for increments;
	// "" is where they usually are.
	Programs string
	Start    bool // start the server and wait until it has done Action

	Now      func() time.Time // the clock of what is measured; nil is time.Now
	Log      *slog.Logger
	Progress *Progress // may be nil
}

// DefaultJobs is the most ranges that are read at once where nothing else is asked
// for. Each has a chunk in hand as it is stored and as it was, 17 MiB: four stay well
// below 128 MiB.
const DefaultJobs = 4

// Progress is written by a running restore and read by whoever draws it.
type Progress struct {
	Expected atomic.Int64 // plain bytes in files
	Done     atomic.Int64 // of them written, or found as they should be
	Step     atomic.Pointer[string]
}

// Result of a restore.
type Result struct {
	Point     repo.Ref
	Chain     []repo.Ref // from the full backup to Point; one for a full backup
	Window    archive.Window
	Timeline  pgwal.Timeline // that recovery follows
	Directory string
	Files     int64 // of the data directory with its tablespaces
	Bytes     int64 // in them
	Fetched   int64 // plain bytes of files that came from the repository
	Reused    int64 // bytes of files that were there as they should be
	Removed   int64 // files that were there and are not in the backup
	Started   bool  // the server runs
	Reached   *Reached
	Warnings  []string
	Durations map[string]float64 // seconds of each step
}

// Reached is where recovery ended, as the server says.
type Reached struct {
	// Time of the last transaction that was replayed; zero when none was.
	Time time.Time `json:"time,omitzero"`
	LSN  pgwal.LSN `json:"lsn"`
	// Timeline the server is on: a new one after a promotion.
	Timeline pgwal.Timeline `json:"timeline"`
	State    string         `json:"state"` // promoted, paused or shut down
	Said     string         `json:"said,omitempty"`
}

// Errors a caller may test for.
var (
	// ErrNotEmpty: something is where the restore would write.
	ErrNotEmpty = errors.New("is not empty")
	// ErrForeign: the directory to bring up to date is of another system, or of none.
	ErrForeign = errors.New("is not a data directory of the same system")
	// ErrRunning: a server has the directory, or seems to.
	ErrRunning = errors.New("has a server running on it")
	// ErrOptions: what was asked for can not be done, whatever the repository has.
	ErrOptions = errors.New("can not be restored so")
	// ErrNoRoom: the disk has not the room that is needed.
	ErrNoRoom = errors.New("not enough room")
	// ErrUnusable: the base backup that was named can not be recovered.
	ErrUnusable = errors.New("can not be recovered")
	// ErrRecovery: the server did not reach the target.
	ErrRecovery = errors.New("recovery did not reach the target")
)
