// Package backup takes one logical backup: lock, snapshot, dump, verify while
// streaming, store, commit.
//
// What lives here: the order of the steps and the fan-out that ties pg_dump, our
// archive reader, pg_restore and the repository together so that any of them
// failing ends all. What must not: SQL and child processes (package postgres),
// the storage format (package repo), flags and printing (the faces).
package backup

import (
	"errors"
	"log/slog"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	Repo      *repo.Repository
	Target    postgres.Target // the one database to dump
	Source    string          // name of what is backed up
	Selection postgres.Selection
	Globals   bool   // store roles and tablespaces beside the archive
	Verify    string // "streamed" (default) or "stored"
	Hold      bool   // hold the new point

	Policy         string // stamped into the manifest
	PolicyRevision int
	Job            string
	RunnerVersion  string

	StorageClass string            // of the data objects; "" = the bucket's default
	Tags         map[string]string // of the data objects, such as repo.TierTags; stores without tags ignore them
	Tier         string            // stamped into the manifest: the tier Tags say

	StallTimeout time.Duration // no progress for so long aborts; default 10 min
	MaxDuration  time.Duration // the whole backup; 0 = no limit
	LockTimeout  time.Duration // to get the table locks; default 60 s
	LeaseTTL     time.Duration // default repo.LeaseTTL

	// Clock dates the point; nil is time.Now. One that is far from the server's is
	// noticed as any wrong clock is.
	Clock func() time.Time

	Self     repo.Holder
	Log      *slog.Logger
	Progress *Progress // may be nil
}

// Result of a backup that was committed.
type Result struct {
	Manifest *repo.Manifest
	Swept    repo.Swept // what dead runs had left
	Warnings []string   // things the user should know; exit code 3
	// Doubt is why nothing should be deleted on the strength of this backup,
	// good as it is: a wrong clock, another server. "" = rotation may follow.
	Doubt string
}

// Preview is what a backup would do, from a dry run that touched nothing.
type Preview struct {
	Source        string           `json:"source"`
	Database      string           `json:"database"`
	Server        string           `json:"server"`
	Tool          string           `json:"tool"`
	Tables        []postgres.Table `json:"-"`
	TableCount    int              `json:"tables"`
	DatabaseBytes int64            `json:"database_bytes"`
	Repository    string           `json:"repository"`
	Sealed        bool             `json:"sealed"`
	Skipped       []repo.Skipped   `json:"skipped,omitempty"`
}

// Errors a caller may test for.
var (
	// ErrStalled: nothing moved for the stall timeout.
	ErrStalled = errors.New("the backup made no progress")
	// ErrTooLong: the backup ran into its maximum duration.
	ErrTooLong = errors.New("the backup took longer than its maximum duration")
)
