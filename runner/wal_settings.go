package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/settings"
)

// walSettingsFlags are those of `wal settings`.
type walSettingsFlags struct {
	mode, environmentFile       string
	incremental, apply, replace bool
}

func newWALSettings(a *app) *cobra.Command {
	var f walSettingsFlags
	cmd := &cobra.Command{
		Use: "settings", Short: "Show, or set, what a server needs for archiving and base backups", Args: cobra.NoArgs,
		Long: `Show which settings of a server are right for archiving its WAL and taking base backups,
which are not, and which wait for a restart. With --apply those that are not are set by ALTER
SYSTEM, which takes a superuser; nothing that is right is touched, and the server is never
restarted. An archive_command of somebody else stays unless --replace-archive-command is
given. Where an administrator is not the job's role, --database names who asks.

The exit code is 3 while something is left to do, such as a restart.`,
		Example: "  pgbackup-runner wal settings --job /etc/pgbackup/wal.job.json --apply\n  pgbackup-runner wal settings --mode receive --database postgres://postgres@db1/postgres\n  pgbackup-runner wal settings --job /etc/pgbackup/wal.job.json --apply --database postgres://postgres@/postgres",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.walSettings(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.mode, "mode", "", "`MODE` to look for: push (the server calls archive_command) or receive (a stream); default the job's")
	flags.BoolVar(&f.incremental, "incremental", false, "also what incremental base backups need (PostgreSQL 17 and newer; default the job's)")
	flags.StringVar(&f.environmentFile, "environment-file", "", "`FILE` with NAME=value lines that archive_command reads first, such as its credentials")
	flags.BoolVar(&f.apply, "apply", false, "set what is not right, by ALTER SYSTEM: takes a superuser")
	flags.BoolVar(&f.replace, "replace-archive-command", false, "also replace an archive_command, or archive_library, of somebody else")
	return cmd
}

func (a *app) walSettings(ctx context.Context, f walSettingsFlags) error {
	wanted, err := a.wantedSettings(ctx, f)
	if err != nil {
		return err
	}
	to, err := a.server(ctx)
	if err != nil {
		return err
	}
	conn, err := to.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	server, err := settings.Read(ctx, conn, wanted.Slot)
	if err != nil {
		return err
	}
	plan, err := settings.Plan(wanted, server)
	if err != nil {
		return usage(err)
	}
	if f.apply {
		plan, err = settings.Apply(ctx, conn, wanted, plan, f.replace)
		if isAny(err, settings.ErrForeign, settings.ErrHidden) {
			return usage(err)
		}
		if err != nil {
			return err
		}
	}
	return a.tellSettings(plan)
}

// wantedSettings is what the job, or flags, ask of the server.
func (a *app) wantedSettings(ctx context.Context, f walSettingsFlags) (settings.Wanted, error) {
	w := settings.Wanted{Mode: f.mode, Incremental: f.incremental, FullEvery: job.DefaultFullEvery, SlotLimit: job.DefaultSlotLimit}
	ofBackups := false
	if j := a.job; j != nil {
		if j.WAL != nil {
			w.Mode, w.Slot, w.SlotLimit = cmp.Or(w.Mode, j.WAL.Mode), j.WAL.Slot, cmp.Or(j.WAL.SlotLimit, w.SlotLimit)
		}
		if j.Physical != nil {
			ofBackups = true
			if i := j.Physical.Incremental; i != nil {
				w.Incremental = true
				if every, exact := i.FullEvery.Exact(); exact && every > 0 {
					w.FullEvery = every
				}
			}
		}
	}
	switch w.Mode {
	case job.WALPush:
		var err error
		w.Command, err = a.archiveCommand(f.environmentFile)
		return w, err
	case job.WALReceive:
		if w.Slot == "" {
			source, err := a.walSource(ctx)
			if err != nil {
				return w, err
			}
			w.Slot = receive.SlotName(source)
		}
		return w, nil
	case "":
		if ofBackups {
			return w, nil
		}
		return w, usagef("wal settings: give --job with a job of kind %s or %s, or --mode %s or %s", job.KindWAL, job.KindPhysical, job.WALPush, job.WALReceive)
	}
	return w, usagef("--mode %q: give %s or %s", w.Mode, job.WALPush, job.WALReceive)
}

// archiveCommand is the text of archive_command that calls this program as it was called.
func (a *app) archiveCommand(environmentFile string) (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find out where this program is: %w", err)
	}
	absolute := func(path string) (string, error) {
		if path == "" || isBucketURL(path) {
			return path, nil
		}
		return filepath.Abs(path)
	}
	if environmentFile, err = absolute(environmentFile); err != nil {
		return "", err
	}
	if a.flags.job != "" {
		name, err := absolute(a.flags.job)
		if err != nil {
			return "", err
		}
		return pgwal.ArchiveCommand(program, name, environmentFile), nil
	}
	if environmentFile != "" {
		return "", usagef("--environment-file goes with --job")
	}
	at, err := a.place()
	if err != nil {
		return "", err
	}
	source, err := a.walSource(context.Background())
	if err != nil {
		return "", err
	}
	arguments := []string{"--repository", at.String(), "--source", source}
	if key := a.keyReference(); key != "" {
		arguments = append(arguments, "--key", key)
	}
	return pgwal.ArchiveCommandOf(program, arguments...), nil
}

// tellSettings prints a plan. The run has warnings while something is left to do.
func (a *app) tellSettings(plan []settings.Setting) error {
	left := slices.ContainsFunc(plan, func(s settings.Setting) bool { return s.State != settings.Right && s.State != settings.Advice })
	restart := slices.ContainsFunc(plan, func(s settings.Setting) bool { return s.State == settings.Waits })
	if a.flags.json {
		if err := a.printJSON(map[string]any{"settings": plan, "left": left, "restart": restart}); err != nil {
			return err
		}
	} else if !a.flags.quiet {
		rows := make([][]string, len(plan))
		for i, s := range plan {
			rows[i] = []string{s.Name, s.Is, settingState(s), s.Why}
		}
		if err := a.table([]string{"SETTING", "IS", "STATE", "WHY"}, rows); err != nil {
			return err
		}
		if restart {
			a.say("Restart the server for what waits for it.")
		}
	}
	if left {
		return errWarned
	}
	return nil
}

// settingState is a state as the table shows it.
func settingState(s settings.Setting) string {
	want := fmt.Sprintf("'%s'", s.Want)
	switch {
	case s.State == settings.Right:
		return "right"
	case s.State == settings.Waits:
		return "set to " + want + ", waits for a restart"
	case s.State == settings.Foreign:
		return "somebody else's; would be " + want
	case s.State == settings.Hidden:
		return "cannot be seen by this role; wanted is " + want
	case s.State == settings.Advice:
		return "better " + want
	case s.Restart:
		return "to be " + want + " (restart)"
	}
	return "to be " + want
}
