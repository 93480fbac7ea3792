package main

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
)

func (a *app) uninstall(ctx context.Context, f installFlags) error {
	unit := host.UnitName(a.job.Name)
	paths := []string{filepath.Join(f.folder, unit)}
	if f.with == "systemd" {
		paths = []string{filepath.Join(f.folder, unit+".timer"), filepath.Join(f.folder, unit+".service")}
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return !exists(p) })
	if len(paths) == 0 {
		return exitcode.Errorf(exitcode.NotFound, "job %q is not installed with %s in %s: there is nothing to remove", a.job.Name, f.with, f.folder)
	}
	if path, copied := a.jobPath(f); len(copied) > 0 && exists(path) {
		paths = append(paths, path)
	}
	if f.dryRun {
		for _, p := range paths {
			a.say("Would remove %s", p)
		}
		return nil
	}
	if !f.noStart {
		// What is installed may be of another kind than the job is by now.
		starter := unit + ".service"
		if exists(filepath.Join(f.folder, unit+".timer")) {
			starter = unit + ".timer"
		}
		if err := systemctl(ctx, "disable", "--now", starter); err != nil {
			a.warn(err.Error())
		}
	}
	if err := host.Remove(paths...); err != nil {
		return err
	}
	if !f.noStart {
		if err := systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	a.say("Job %s no longer runs by itself on this host. Its backups stay.", a.job.Name)
	return nil
}
