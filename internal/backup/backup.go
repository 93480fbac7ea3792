// Package backup takes one logical backup: lock, snapshot, dump, verify while
// streaming, store, commit. The other kinds are the packages below it.
//
// What lives here: the order of the steps and the fan-out that ties pg_dump, our
// archive reader, pg_restore and the repository together so that any of them
// failing ends all. What must not: SQL and child processes (package postgres),
// the storage format (package repo), what every kind does alike (package point),
// flags and printing (the faces).
package backup

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	point.Options
	Target      postgres.Target // the one database to dump
	Selection   postgres.Selection
	Globals     bool          // store roles and tablespaces beside the archive
	LockTimeout time.Duration // to get the table locks; default 60 s
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
