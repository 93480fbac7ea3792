package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/heartbeat"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// behindSegments is how many segments an archive may be behind its server: the one that
// is being written, and one that is on its way.
const behindSegments = 2

// archive holds that the WAL of the server comes into the repository.
func (d *doctor) archive(ctx context.Context, to postgres.Target, server replication.Identity) {
	r, err := d.open(ctx)
	if err != nil {
		return // said already
	}
	source := d.sourceName(hostName(to))
	if d.job.WAL != nil {
		if source, err = d.walSource(ctx); err != nil {
			d.add("archive", bad, "", "%v", err)
			return
		}
	}
	a, err := archive.Find(ctx, r, source, server.System)
	if errors.Is(err, repo.ErrNotFound) {
		d.noArchive(ctx, r, repo.WALArchive{Source: source, System: server.System}, err)
		return
	}
	if err != nil {
		d.add("archive", bad, "", "%v", err)
		return
	}
	survey, err := archive.Look(ctx, r, a, archive.Options{})
	if err != nil {
		d.add("archive", bad, "", "%v", err)
		return
	}
	d.judgeArchive(survey, server)
}

// noArchive tells of an archive that is not there. A job of kind wal is about to make it,
// unless the server's WAL goes elsewhere already.
func (d *doctor) noArchive(ctx context.Context, r *repo.Repository, want repo.WALArchive, missing error) {
	const begin = "SELECT pg_switch_wal();"
	w := d.job.WAL
	if w == nil {
		d.add("archive", bad, "where it is set up, have the server begin: "+begin, "%v", missing)
		return
	}
	all, err := r.WALArchives(ctx, "")
	if err != nil {
		d.add("archive", bad, "", "%v", err)
		return
	}
	if slices.ContainsFunc(all, func(a repo.WALArchive) bool { return a.System == want.System }) {
		d.add("archive", soso, "", "%v", missing) // which names it
		return
	}
	fix, begins := "start the service of the receiver: pgbackup-runner wal receive --job '"+d.flags.job+"'", "when the receiver first runs"
	if w.Mode == job.WALPush {
		fix, begins = "where archive_command is set, have the server call it: "+begin, "when the server first calls archive_command"
	}
	d.add("archive", soso, fix, "nothing is archived yet of %s: that begins with the first run of this job, %s", want, begins)
}

func (d *doctor) judgeArchive(s *archive.Survey, server replication.Identity) {
	newest := fmt.Sprintf("%s reaches %s on timeline %s", s.Archive, s.Newest, s.Current)
	if !s.NewestStored.IsZero() {
		newest += fmt.Sprintf("; the newest came %s ago", age(max(0, d.now().Sub(s.NewestStored))))
	}
	status := "pgbackup-runner wal status --job '" + d.flags.job + "'"
	var behind int64
	if server.At > s.Newest {
		behind = int64(server.At - s.Newest) //nolint:gosec // positions are far below 2^63
	}
	switch {
	case s.Current < server.Timeline && behind > int64(s.SegmentSize): //nolint:gosec // at most 1 GiB
		d.add("archive", bad, status, "%s, and the server is on timeline %s since a failover", newest, server.Timeline)
	case behind > behindSegments*int64(s.SegmentSize): //nolint:gosec // the same
		d.add("archive", bad, status, "%s, which is %s behind the server: WAL does not come in", newest, bytesize.Text(behind))
	case len(s.Gaps()) > 0:
		fix, again := "take a base backup, from which on all can be recovered; "+status, ""
		if from, _, ok := s.Window(); ok {
			fix, again = status, fmt.Sprintf("; from %s on all can be recovered again, and the gap leaves with the window", stamp(from))
		}
		d.add("archive", soso, fix, "%s; WAL is missing in it, and base backups before that can not be recovered beyond%s", newest, again)
	case behind > 0:
		d.add("archive", good, "", "%s, %s behind the server", newest, bytesize.Text(behind))
	default:
		d.add("archive", good, "", "%s, as the server", newest)
	}
}

// spool holds that the machine's own directory can be written to.
func (d *doctor) spool() {
	if d.job.WAL == nil {
		return
	}
	path := walSpool("", d.job.WAL.Spool)
	root, err := spool.Open(path, "doctor")
	if err != nil {
		d.add("spool", bad, "give another directory with spool in the job, or make it: install -d -m 0700 -o $(id -un) '"+path+"'", "%v", err)
		return
	}
	defer func() { _ = root.Close() }()
	const name = "writable"
	err = root.WriteFile(name, []byte(time.Now().String()), 0o600)
	if err = errors.Join(err, root.Remove(name), os.Remove(root.Name())); err != nil {
		d.add("spool", bad, "make room there, or give another directory with spool in the job", "%v", err)
		return
	}
	whose := ""
	if d.job.WAL.Mode == job.WALPush {
		whose = "; archive_command uses it as the server's user, so run doctor as that too"
	}
	d.add("spool", good, "", "%s is writable%s", path, whose)
}

// heartbeat holds that the receiver can write one, where it should.
func (d *doctor) heartbeat(ctx context.Context, to postgres.Target) {
	h := d.job.WAL.Heartbeat
	if h == nil {
		d.add("heartbeat", good, "", "none is asked for: a drill then proves a moment by the last commit alone, and an idle server looks as one whose WAL does not come in")
		return
	}
	database := h.Database
	if database == "" {
		database = heartbeat.DefaultDatabase
	}
	conn, err := to.WithDatabase(database).Connect(ctx)
	if err != nil {
		d.add("heartbeat", bad, "", "%v", err)
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var there, may, standby bool
	err = conn.QueryRow(ctx, `SELECT c.oid IS NOT NULL, pg_catalog.pg_is_in_recovery(), CASE
		WHEN c.oid IS NOT NULL THEN pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
		WHEN n.oid IS NOT NULL THEN pg_catalog.has_schema_privilege(n.oid, 'CREATE')
		ELSE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') END
		FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'pgbackup' LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'heartbeat'`).Scan(&there, &standby, &may)
	switch {
	case err != nil:
		d.add("heartbeat", bad, "", "%v", err)
	case standby:
		d.add("heartbeat", soso, "have the receiver reach the primary, or leave heartbeat out", "the server is a standby, and nothing can be written there")
	case !may:
		d.add("heartbeat", bad, heartbeat.Create+";\nGRANT USAGE ON SCHEMA pgbackup TO "+pgx.Identifier{to.User}.Sanitize()+"; GRANT SELECT, INSERT, UPDATE ON pgbackup.heartbeat TO "+pgx.Identifier{to.User}.Sanitize()+";",
			"%s may not write pgbackup.heartbeat in database %s; as its owner, or a superuser, run there:", to.User, database)
	case there:
		d.add("heartbeat", good, "", "pgbackup.heartbeat in database %s can be written", database)
	default:
		d.add("heartbeat", good, "", "the receiver can make pgbackup.heartbeat in database %s", database)
	}
}
