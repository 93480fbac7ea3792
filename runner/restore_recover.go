package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
)

// recoverFlags are those of restoring a base backup and the WAL after it.
type recoverFlags struct {
	time, lsn, xid, name, target, timeline string
	action, archiveMode, tablespaceDir     string
	exclusive, delta, start                bool
	tablespaces                            []string // as given: old=new
	restoreCommand                         string
	port                                   int
}

func (f *recoverFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.time, "target-time", "", "physical: recover to the last commit at or before this `TIME`, such as 2026-03-01T09:45:00Z (UTC unless it says otherwise), by the server's clock")
	set.StringVar(&f.lsn, "target-lsn", "", "physical: recover to this position in WAL, an `LSN` such as 16/B374D848")
	set.StringVar(&f.xid, "target-xid", "", "physical: recover to the end of the transaction with this `NUMBER`")
	set.StringVar(&f.name, "target-name", "", "physical: recover to the restore point of this `NAME` (pg_create_restore_point)")
	set.StringVar(&f.target, "target", "", "physical: `WHERE` to recover to: latest, all that is archived (the default), or immediate, the end of the base backup")
	set.BoolVar(&f.exclusive, "target-exclusive", false, "physical: leave out what is exactly at the target")
	set.StringVar(&f.timeline, "target-timeline", "", "physical: along this `TIMELINE`, a number or eight hexadecimal digits (default the newest)")
	set.StringVar(&f.action, "target-action", physical.Promote, "physical: what the server does at the target, an `ACTION`: promote (it serves, on a new timeline), pause (it can be read, until pg_wal_replay_resume()) or shutdown")
	set.BoolVar(&f.delta, "delta", false, "physical: into a data directory of the same system: fetch only files that differ, and remove those that the backup does not have")
	set.StringArrayVar(&f.tablespaces, "tablespace-map", nil, "physical: put the tablespace that was in directory OLD, or has this OID, into NEW: `OLD=NEW` (repeatable)")
	set.StringVar(&f.tablespaceDir, "tablespace-dir", "", "physical: put the other tablespaces below this `DIRECTORY`, by their OID (default where they were)")
	set.StringVar(&f.archiveMode, "archive-mode", physical.ArchivePreserve, "physical: archiving of the restored server, a `MODE`: preserve, as it is configured, or off, for a copy beside the living server, which would else archive into the same place")
	set.BoolVar(&f.start, "start", false, "physical: start the server, wait until it has reached the target, and say which moment that is; needs PostgreSQL's programs of the same major version")
	set.IntVar(&f.port, "port", 0, "physical: the restored server's `PORT`, written to postgresql.auto.conf (default as configured): for a copy on the machine of the living server")
	set.StringVar(&f.restoreCommand, "restore-command", "", "physical: the `COMMAND` with which the server fetches WAL, with %f and %p (default this program's wal fetch)")
}

// given names the first flag that only a recovery has; "" for none.
func (f recoverFlags) given() string {
	for _, x := range []struct {
		flag string
		set  bool
	}{
		{"--target-time", f.time != ""}, {"--target-lsn", f.lsn != ""}, {"--target-xid", f.xid != ""}, {"--target-name", f.name != ""}, {"--target", f.target != ""},
		{"--target-exclusive", f.exclusive}, {"--target-timeline", f.timeline != ""}, {"--target-action", f.action != "" && f.action != physical.Promote},
		{"--delta", f.delta}, {"--tablespace-map", len(f.tablespaces) > 0}, {"--tablespace-dir", f.tablespaceDir != ""},
		{"--archive-mode", f.archiveMode != "" && f.archiveMode != physical.ArchivePreserve}, {"--start", f.start}, {"--restore-command", f.restoreCommand != ""},
		{"--port", f.port != 0},
	} {
		if x.set {
			return x.flag
		}
	}
	return ""
}

// aims tells whether a target is named, for which a base backup can be chosen.
func (f recoverFlags) aims() bool {
	return f.time != "" || f.lsn != "" || f.xid != "" || f.name != "" || f.target != ""
}

// aim reads the target.
func (f recoverFlags) aim() (archive.Target, error) {
	t := archive.Target{Inclusive: !f.exclusive}
	var flags []string
	var err error
	add := func(flag, value string, set func() error) {
		if value != "" {
			flags = append(flags, flag)
			if failed := set(); failed != nil && err == nil {
				err = failed
			}
		}
	}
	add("--target-time", f.time, func() (err error) {
		t.Time, err = parseMoment(f.time)
		return err
	})
	add("--target-lsn", f.lsn, func() (err error) {
		if t.LSN, err = pgwal.ParseLSN(f.lsn); err != nil || t.LSN == 0 {
			return usagef("--target-lsn: %q is no position that can be recovered to: give one such as 16/B374D848", f.lsn)
		}
		return nil
	})
	add("--target-xid", f.xid, func() (err error) {
		if t.XID, err = strconv.ParseUint(f.xid, 10, 64); err != nil || t.XID < 3 {
			return usagef("--target-xid: %q is no number of a transaction", f.xid)
		}
		return nil
	})
	add("--target-name", f.name, func() error {
		if t.Name = f.name; len(t.Name) > 63 {
			return usagef("--target-name: the name of a restore point has at most 63 bytes")
		}
		return nil
	})
	add("--target", f.target, func() error {
		switch f.target {
		case "immediate":
			t.Immediate = true
		case "latest":
			t.Latest = true
		default:
			return usagef("--target %q is not known%s; a time, a position, a transaction and a restore point have flags of their own", f.target, nearest.Suggestion(f.target, []string{"immediate", "latest"}))
		}
		return nil
	})
	switch {
	case err != nil:
		return t, err
	case len(flags) > 1:
		return t, usagef("restore: %s are %d targets: give one", strings.Join(flags, ", "), len(flags))
	case len(flags) == 0:
		t.Latest = true
	}
	if f.exclusive && t.Time.IsZero() && t.LSN == 0 && t.XID == 0 {
		return t, usagef("restore: --target-exclusive belongs to --target-time, --target-lsn and --target-xid")
	}
	if f.timeline != "" {
		if t.Timeline, err = parseTimeline(f.timeline); err != nil {
			return t, err
		}
	}
	return t, nil
}

// parseTimeline reads a timeline as files of WAL name it, or as people count them.
func parseTimeline(text string) (pgwal.Timeline, error) {
	if len(text) == 8 {
		if t, err := pgwal.ParseTimeline(strings.ToUpper(text)); err == nil {
			return t, nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return 0, usagef("--target-timeline: %q is no timeline: give its number, such as 2, or eight hexadecimal digits, such as 00000002", text)
	}
	return pgwal.Timeline(n), nil
}

// spaces reads --tablespace-map.
func (f recoverFlags) spaces() (map[string]string, error) {
	spaces := map[string]string{}
	for _, pair := range f.tablespaces {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || from == "" || !strings.HasPrefix(to, "/") {
			return nil, usagef("--tablespace-map %q: give OLD=NEW, NEW being an absolute path", pair)
		}
		if other, twice := spaces[from]; twice && other != to {
			return nil, usagef("--tablespace-map: tablespace %s can not go to both %s and %s", from, other, to)
		}
		spaces[from] = to
	}
	return spaces, nil
}

// check finds flags that do not go together.
func (f recoverFlags) check(r restoreFlags) error {
	flag := f.given()
	switch {
	case flag == "":
		return nil
	case r.kind != "" && r.kind != string(job.KindPhysical):
		return usagef("restore: %s belongs to base backups, of kind %s, not %s", flag, job.KindPhysical, r.kind)
	case r.directory == "" && !r.verifyOnly:
		return usagef("restore: %s belongs to base backups, which are restored with --to-directory", flag)
	}
	for _, choice := range []struct {
		flag, value string
		known       []string
	}{
		{"--target-action", f.action, []string{physical.Promote, physical.Pause, physical.Shutdown}},
		{"--archive-mode", f.archiveMode, []string{physical.ArchivePreserve, physical.ArchiveOff}},
	} {
		if !slices.Contains(choice.known, choice.value) {
			return usagef("%s %q is not known%s", choice.flag, choice.value, nearest.Suggestion(choice.value, choice.known))
		}
	}
	if f.port < 0 || f.port > 65535 {
		return usagef("--port %d: give a number from 1 to 65535", f.port)
	}
	if _, err := f.aim(); err != nil {
		return err
	}
	_, err := f.spaces()
	return err
}
