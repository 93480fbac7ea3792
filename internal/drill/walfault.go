package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/fetch"
)

// walError is trouble with a file of the archive, and not with the base backup.
type walError struct {
	needed bool // the base backup is not consistent without it
	err    error
}

func (e *walError) Error() string { return e.err.Error() }
func (e *walError) Unwrap() error { return e.err }

// fetchWAL brings a file of the archive, as a server that recovers gets it.
func (r *run) fetchWAL(ctx context.Context, m moment, data, name, path string) error {
	_, err := fetch.Run(ctx, fetch.Options{
		Name: name, Path: path, DataDirectory: data, Source: r.archive.Source, Ahead: -1, Log: r.Log,
		Open: func(context.Context) (*repo.Repository, error) { return r.Repo, nil },
	})
	switch {
	case errors.Is(err, fetch.ErrNotThere):
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case err != nil:
		return &walError{needed: m.needs(name), err: err}
	}
	return nil
}

// needs tells whether the base backup itself, and not only the way from it to the
// moment, needs a file of WAL.
func (m moment) needs(name string) bool {
	p := m.base.Manifest.Physical
	s, err := pgwal.ParseSegment(name, p.SegmentSize)
	return err == nil && s.Timeline == p.Timeline && s.Start(p.SegmentSize) < p.StopLSN && s.End(p.SegmentSize) > p.StartLSN
}

// What a server says that gives a recovery up because of what it was given. All else,
// such as a full disk or a library that is not installed here, says nothing about it.
//
// Source: PostgreSQL, src/backend/access/transam/{xlog,xlogrecovery,xlogutils}.c.
var (
	faultOfWAL   = regexp.MustCompile(`recovery ended before configured recovery target was reached|is not a child of this server's history|does not contain minimum recovery point`)
	faultOfPoint = regexp.MustCompile(`could not locate (a valid|required) checkpoint record|could not find redo location|invalid (primary |redo link in )?checkpoint record|WAL ends before (end of online backup|consistent recovery point)|WAL contains references to invalid pages|calculated CRC checksum does not match value stored in file|incorrect checksum in control file|invalid data in file "backup_label"|requested recovery stop point is before consistent recovery point`)
)

// blameRecovery tells whether an error of a recovery speaks against the archive, and
// against the base backup itself.
func blameRecovery(err error) (bad, point bool) {
	if of := (*walError)(nil); errors.As(err, &of) {
		return restore.IsBadBackup(err), of.needed
	}
	if errors.Is(err, scratch.ErrRecovery) {
		point = faultOfPoint.MatchString(err.Error())
		return point || faultOfWAL.MatchString(err.Error()), point
	}
	return restore.IsBadBackup(err), true
}
