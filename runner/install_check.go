package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// check finds what would only come to light at night otherwise.
func (f installFlags) check() error {
	if f.folder != "" && !filepath.IsAbs(f.folder) {
		return usagef("--folder %q: give an absolute path", f.folder)
	}
	if !filepath.IsAbs(f.jobFolder) {
		return usagef("--job-directory %q: give an absolute path", f.jobFolder)
	}
	if f.timezone != "" {
		if _, err := time.LoadLocation(f.timezone); err != nil || f.timezone == "Local" {
			return usagef("--timezone %q is not known: give a name such as Europe/Berlin or UTC", f.timezone)
		}
		if f.cron == "" {
			return usagef("--timezone belongs to --cron: the job's own schedule has its own")
		}
	}
	if f.delay != "" && f.with == "cron" {
		return usagef("--randomized-delay is systemd's: cron starts at the minute; leave it out or use --with systemd")
	}
	if f.user != "" && f.here && !f.remove && !userExists(f.user) {
		return usagef("--user %q: this host has no such user", f.user)
	}
	return nil
}

// userExists also asks id(1): this program is built without the C library, which
// alone knows the users of a directory service.
func userExists(name string) bool {
	_, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		err = exec.Command("id", "-u", "--", name).Run()
	}
	return err == nil
}

// unsetVariables warns of variables the job reads: systemd and cron start it
// without those of this shell.
func (a *app) unsetVariables(f installFlags) []string {
	if f.environment != "" {
		return nil
	}
	var warnings []string
	for _, r := range a.job.References() {
		if ref := r.Ref; ref.Scheme == secretref.Env {
			warnings = append(warnings, fmt.Sprintf("job %q reads the variable %s, which %s does not set: give --environment-file FILE with a line %s=…", a.job.Name, ref.Value, f.with, ref.Value))
		}
	}
	return warnings
}

// otherDeployments warns when the job would run twice.
func (a *app) otherDeployments(f installFlags, files []host.File) []string {
	unit := host.UnitName(a.job.Name)
	places := []string{
		filepath.Join(systemdFolder, unit+".timer"), filepath.Join(cronFolder, unit),
		filepath.Join(f.folder, unit+".timer"), filepath.Join(f.folder, unit),
	}
	if a.job.Receives() {
		places = append(places, filepath.Join(systemdFolder, unit+".service"))
	}
	mine := map[string]bool{}
	for _, file := range files {
		mine[file.Path] = true
	}
	var warnings []string
	seen := map[string]bool{}
	for _, p := range places {
		if !mine[p] && !seen[p] && exists(p) {
			warnings = append(warnings, fmt.Sprintf("a job named %q is deployed already in %s and will run twice: take one away with `pgbackup-runner install --remove`", a.job.Name, p))
		}
		seen[p] = true
	}
	return warnings
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
