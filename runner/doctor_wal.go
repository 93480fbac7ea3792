package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/settings"
)

// continuous checks what base backups and the archiving of WAL need of a server.
func (d *doctor) continuous(ctx context.Context) {
	if d.job == nil || d.job.Physical == nil && d.job.WAL == nil {
		return
	}
	d.spool()
	to, named, err := d.continuousServer(ctx)
	switch {
	case err != nil:
		d.unreachable = true
		d.add("connection", bad, "", "%v", err)
		return
	case !named:
		d.add("connection", good, "", "the job names no server: its settings and its archiver are not looked at; name one, or give --database, to have them looked at too")
		return
	}
	identity, replicates := d.replication(ctx, to)
	conn, err := to.Connect(ctx)
	if err != nil {
		d.unreachable = true
		d.add("connection", bad, "", "%v", err)
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	d.add("connection", good, "", "%s", to)
	d.clock(ctx, conn)
	d.settings(ctx, conn)
	d.senders(ctx, conn)
	switch w := d.job.WAL; {
	case w == nil:
	case w.Mode == job.WALPush:
		d.archiver(ctx, conn)
	default:
		d.slot(ctx, conn)
		d.heartbeat(ctx, to)
	}
	if !replicates {
		if identity, err = identifyBySQL(ctx, conn); err != nil {
			d.add("archive", bad, "", "%v", err)
			return
		}
	}
	d.archive(ctx, to, identity)
}

// continuousServer is the server of the job; a push need not name one.
func (d *doctor) continuousServer(ctx context.Context) (to postgres.Target, named bool, err error) {
	if w := d.job.WAL; w != nil && w.Mode == job.WALPush && w.Server == (job.Server{}) && w.DatabaseURLRef.IsZero() && d.flags.database == "" {
		return to, false, nil
	}
	s, err := d.app.server(ctx)
	return s.Target, true, err
}

// replication holds that the role may use the protocol, and that pg_hba.conf admits it
// for that. A push needs neither.
func (d *doctor) replication(ctx context.Context, to postgres.Target) (replication.Identity, bool) {
	if d.job.WAL != nil && d.job.WAL.Mode == job.WALPush {
		return replication.Identity{}, false
	}
	conn, err := replication.Connect(ctx, to)
	if err != nil {
		d.unreachable = true
		fix := ""
		if errors.Is(err, postgres.ErrNoReplication) {
			fix = "ALTER ROLE " + pgx.Identifier{to.User}.Sanitize() + " REPLICATION;"
		}
		d.add("replication", bad, fix, "%v", err)
		return replication.Identity{}, false
	}
	defer conn.Close()
	identity, err := conn.Identify(ctx)
	if err != nil {
		d.add("replication", bad, "", "%v", err)
		return replication.Identity{}, false
	}
	if d.job.Physical != nil && conn.Major() < replication.BaseBackupMajor {
		d.add("replication", bad, "use a job of kind logical", "base backups are taken of PostgreSQL %d and newer, and the server is %s", replication.BaseBackupMajor, conn.Version())
		return identity, true
	}
	d.add("replication", good, "", "%s may replicate and pg_hba.conf admits it; PostgreSQL %s, system %s, timeline %s", to.User, conn.Version(), identity.System, identity.Timeline)
	return identity, true
}

func identifyBySQL(ctx context.Context, conn *pgx.Conn) (replication.Identity, error) {
	var system, at string
	var timeline uint32
	err := conn.QueryRow(ctx, `SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()), (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
		CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END::text`).Scan(&system, &timeline, &at)
	if err != nil {
		return replication.Identity{}, fmt.Errorf("identify the server: %w", err)
	}
	lsn, err := pgwal.ParseLSN(at)
	return replication.Identity{System: system, Timeline: pgwal.Timeline(timeline), At: lsn}, err
}

// settings holds the server's against what the job needs.
func (d *doctor) settings(ctx context.Context, conn *pgx.Conn) {
	wanted, err := d.wantedSettings(ctx, walSettingsFlags{})
	if err != nil {
		d.add("settings", bad, "", "%v", err)
		return
	}
	is, err := settings.Read(ctx, conn, wanted.Slot)
	if err != nil {
		d.add("settings", bad, "", "%v", err)
		return
	}
	plan, err := settings.Plan(wanted, is)
	if err != nil {
		d.add("settings", bad, "", "%v", err)
		return
	}
	var right []string
	for _, s := range plan {
		said := fmt.Sprintf("%s = %s, %s: %s", s.Name, s.Is, settingState(s), s.Why)
		switch s.State {
		case settings.Right:
			right = append(right, s.Name+" = "+s.Is)
		case settings.Advice:
			d.add("settings", soso, fmt.Sprintf("ALTER SYSTEM SET %s = '%s'; SELECT pg_reload_conf();", s.Name, s.Want), "%s", said)
		case settings.Waits:
			d.add("settings", bad, "restart the server", "%s", said)
		case settings.Foreign:
			// It may be ours in other words, such as with a wrapper around it.
			d.add("settings", soso, "where it is no longer needed: "+d.settingsCommand()+" --replace-archive-command", "%s", said)
		case settings.Hidden:
			d.add("settings", soso, "have a superuser look: pgbackup-runner wal settings --job '"+d.flags.job+"' --database postgres://postgres@/postgres", "%s", said)
		default:
			d.add("settings", bad, d.settingsCommand(), "%s", said)
		}
	}
	if len(right) > 0 {
		d.add("settings", good, "", "%s", strings.Join(right, ", "))
	}
}

// settingsCommand is what sets the settings.
func (d *doctor) settingsCommand() string {
	return "pgbackup-runner wal settings --apply --job '" + d.flags.job + "'"
}

// senders holds that a process is left to send a base backup, or WAL.
func (d *doctor) senders(ctx context.Context, conn *pgx.Conn) {
	if d.job.WAL != nil && d.job.WAL.Mode == job.WALPush {
		return
	}
	var used, all int
	if err := conn.QueryRow(ctx, "SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'), current_setting('max_wal_senders')::int").Scan(&used, &all); err != nil {
		d.add("senders", bad, "", "%v", err)
		return
	}
	if used >= all {
		d.add("senders", bad, fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d; then restart the server", all+4), "all %d WAL senders are in use: nothing can be received", all)
		return
	}
	d.add("senders", good, "", "%d of %d WAL senders are in use", used, all)
}

// archiver looks at what the server says of its archive_command.
func (d *doctor) archiver(ctx context.Context, conn *pgx.Conn) {
	var failing bool
	var count int64
	var last, failed string
	err := conn.QueryRow(ctx, `SELECT coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL), failed_count, coalesce(last_archived_wal || ' at ' || date_trunc('second', last_archived_time), 'none yet'), coalesce(last_failed_wal, '')
		FROM pg_catalog.pg_stat_archiver`).Scan(&failing, &count, &last, &failed)
	switch {
	case err != nil:
		d.add("archiver", bad, "", "%v", err)
	case failing:
		d.add("archiver", bad, "the server's log has what the command said; as the server's user: cd DATA_DIRECTORY && pgbackup-runner wal push --job '"+d.flags.job+"' pg_wal/"+failed,
			"archive_command fails for %s (%d failures in all); the last that was archived: %s", failed, count, last)
	default:
		d.add("archiver", good, "", "the last that was archived: %s", last)
	}
}

// slot looks at the receiver's own.
func (d *doctor) slot(ctx context.Context, conn *pgx.Conn) {
	name := d.job.WAL.Slot
	if name == "" {
		source, err := d.walSource(ctx)
		if err != nil {
			d.add("slot", bad, "", "%v", err)
			return
		}
		name = receive.SlotName(source)
	}
	limit := cmp.Or(d.job.WAL.SlotLimit, job.DefaultSlotLimit)
	s, err := replication.ReadSlotState(ctx, conn, name)
	switch {
	case errors.Is(err, replication.ErrNoSlot):
		d.add("slot", good, "", "%s is not there yet: the receiver makes it when it first runs", name)
	case err != nil:
		d.add("slot", bad, "", "%v", err)
	case s.Lost():
		d.add("slot", bad, "pgbackup-runner wal receive --drop-slot --job '"+d.flags.job+"'; start the receiver again, and take a base backup", "%s lost its WAL, which the server removed (max_slot_wal_keep_size): there is a gap in the archive", name)
	case s.Retained > limit:
		d.add("slot", soso, "look why the receiver does not keep up: pgbackup-runner wal status --job '"+d.flags.job+"'", "the server keeps %s of WAL for %s, more than %s", bytesize.Text(s.Retained), name, bytesize.Text(limit))
	case !s.Active:
		d.add("slot", soso, "start the service of the receiver: pgbackup-runner wal receive --job '"+d.flags.job+"'", "nobody receives from %s, for which the server keeps %s of WAL", name, bytesize.Text(s.Retained))
	default:
		d.add("slot", good, "", "%s is in use, and the server keeps %s for it", name, bytesize.Text(s.Retained))
	}
}
