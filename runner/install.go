package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

const (
	systemdFolder = "/etc/systemd/system"
	cronFolder    = "/etc/cron.d"
	jobFolder     = "/etc/pgbackup"
)

// installFlags of the command install.
type installFlags struct {
	with, folder, user, environment, cron, timezone, delay string
	jobFolder                                              string // where a job file from a bucket is written
	dryRun, noStart, remove                                bool
	// here: the files take effect on this machine as they are written.
	here bool
}

func newInstall(a *app) *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use: "install", Short: "Run a job on this host by itself: a systemd timer or a line for cron", Args: cobra.NoArgs,
		Long: `Install what starts this program with a job file at the times of its schedule: a
systemd service and timer, which are enabled, or a file in /etc/cron.d. A job file of
this machine stays where it is; one in a bucket is copied to --job-directory first, so
that the job also runs when the bucket's region is out of reach, and fails and tells.
Run it again after the job was changed. A receiver of WAL (wal receive) gets a service
that is kept running, and no timer. Of a job that takes WAL by push, the timer looks
whether all of it arrives; what the server's archive_command has to be is told.`,
		Example: "  pgbackup-runner install --job /etc/pgbackup/nightly.job.json\n  pgbackup-runner install --job 's3://acme-pg-backups/prod/jobs/nightly/….json?region=us-east-1'\n  pgbackup-runner install --job /etc/pgbackup/nightly.job.json --with cron --dry-run",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.install(cmd.Context(), f) },
	}
	set := cmd.Flags()
	set.StringVar(&f.with, "with", "", "systemd or cron (default systemd where it runs)")
	set.StringVar(&f.folder, "folder", "", "`DIRECTORY` for the files (default "+systemdFolder+" or "+cronFolder+")")
	set.StringVar(&f.jobFolder, "job-directory", jobFolder, "`DIRECTORY` for the job file, where --job is s3://…")
	set.StringVar(&f.user, "user", "", "`NAME` of the user that runs the job (default root)")
	set.StringVar(&f.environment, "environment-file", "", "`FILE` with NAME=value lines for the job, such as PGPASSWORD")
	set.StringVar(&f.cron, "cron", "", "`SCHEDULE` in five fields, instead of the job's")
	set.StringVar(&f.timezone, "timezone", "", "time zone of --cron (default UTC)")
	set.StringVar(&f.delay, "randomized-delay", "", "start up to this `DURATION` later, to spread many hosts (systemd)")
	set.BoolVar(&f.dryRun, "dry-run", false, "print the files and write nothing")
	set.BoolVar(&f.noStart, "no-start", false, "write the files only, do not call systemctl")
	set.BoolVar(&f.remove, "remove", false, "take away what was installed for the job")
	return cmd
}

func (a *app) install(ctx context.Context, f installFlags) error {
	if a.job == nil {
		return usagef("install: give the --job FILE to install")
	}
	if f.with == "" {
		f.with = "cron"
		if systemdRuns() {
			f.with = "systemd"
		}
	}
	if f.with != "systemd" && f.with != "cron" {
		return usagef("--with %q: give systemd or cron", f.with)
	}
	standard := f.folder == ""
	f.here = standard && !f.noStart
	if err := f.check(); err != nil {
		return err
	}
	if standard {
		f.folder = map[string]string{"systemd": systemdFolder, "cron": cronFolder}[f.with]
	}
	f.noStart = f.noStart || !standard || f.with != "systemd" || !systemdRuns()
	if f.remove {
		return a.uninstall(ctx, f)
	}
	it, err := a.installFiles(f)
	if err != nil {
		return err
	}
	warnings := append(a.unsetVariables(f), a.otherDeployments(f, it.files)...)
	a.warn(warnings...)
	if err := a.carryOut(ctx, f, it); err != nil {
		return err
	}
	if len(warnings) > 0 {
		return errWarned
	}
	return nil
}

// installed is what a job needs on this host.
type installed struct {
	files []host.File
	// archiveCommand is what the server has to have; "" but for a push.
	archiveCommand string
}

// starter is the unit that systemd is told to start.
func (a *app) starter() string {
	if a.job.Receives() {
		return host.UnitName(a.job.Name) + ".service"
	}
	return host.UnitName(a.job.Name) + ".timer"
}

// start tells systemd. A receiver that runs already reads its job anew.
func (a *app) start(ctx context.Context) error {
	commands := [][]string{{"daemon-reload"}, {"enable", "--now", a.starter()}}
	if a.job.Receives() {
		commands = [][]string{{"daemon-reload"}, {"enable", a.starter()}, {"restart", a.starter()}}
	}
	for _, args := range commands {
		if err := systemctl(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// carryOut writes the files, starts the timer and says what happens next.
func (a *app) carryOut(ctx context.Context, f installFlags, it installed) error {
	files := it.files
	if f.dryRun {
		return a.printFiles(it)
	}
	if err := a.makeJobFolder(f); err != nil {
		return err
	}
	if err := host.Write(files...); err != nil {
		return fmt.Errorf("%w; run this as root, or give another --folder", err)
	}
	if !f.noStart {
		if err := a.start(ctx); err != nil {
			return err
		}
	}
	if a.flags.json {
		return a.printFiles(it)
	}
	for _, file := range files {
		a.say("Wrote %s", file.Path)
	}
	switch {
	case f.with == "cron" && !f.here:
		a.say("cron runs it once the file is in %s.", cronFolder)
	case f.with == "cron":
		a.say("cron runs it by itself from now on.")
	case f.noStart:
		a.say("Start it with: systemctl daemon-reload && systemctl enable --now %s", a.starter())
	case a.job.Receives():
		a.say("Enabled, and kept running. How it is: systemctl status %s", a.starter())
	default:
		a.say("Enabled. Next run: systemctl list-timers %s", a.starter())
	}
	a.sayArchiveCommand(it)
	return nil
}

func (a *app) sayArchiveCommand(it installed) {
	if it.archiveCommand != "" {
		a.say("The server's archive_command has to be as follows; `pgbackup-runner wal settings --apply` with the same --job and --environment-file sets it.\n%s", it.archiveCommand)
	}
}

// installFiles renders the job for this host.
func (a *app) installFiles(f installFlags) (it installed, err error) {
	spec := host.Spec{Job: *a.job, User: f.user, EnvironmentFile: f.environment, ByRunner: true}
	if f.cron != "" && a.job.Receives() {
		return it, usagef("job %q receives WAL and runs all the time: leave --cron out", a.job.Name)
	}
	if f.cron != "" {
		spec.Job.Schedule = &job.Schedule{Cron: f.cron, Timezone: f.timezone}
	}
	if spec.Job.Schedule == nil && !a.job.Receives() {
		return it, usagef("job %q has no schedule: give --cron \"0 2 * * *\"", a.job.Name)
	}
	if err := spec.Job.Validate(); err != nil {
		return it, usage(err)
	}
	path, copied := a.jobPath(f)
	if spec.RandomizedDelay, err = limit("--randomized-delay", f.delay, duration.Duration{}); err != nil {
		return it, err
	}
	if spec.JobPath, err = filepath.Abs(path); err != nil {
		return it, err
	}
	if spec.Runner, err = os.Executable(); err != nil {
		return it, fmt.Errorf("find this program's own path: %w", err)
	}
	if spec.RunnerSHA256, err = sha256Of(spec.Runner); err != nil {
		return it, fmt.Errorf("hash %s: %w", spec.Runner, err)
	}
	if f.with == "cron" {
		if spec.Zone, err = host.LocalZone(); err != nil {
			return it, err
		}
	}
	texts, err := host.Render(spec)
	if err != nil {
		return it, usage(err)
	}
	it = installed{copied, texts.ArchiveCommand}
	add := func(name, content string) {
		if content != "" {
			it.files = append(it.files, host.File{Path: filepath.Join(f.folder, name), Content: content, Mode: 0o644})
		}
	}
	if f.with == "cron" {
		if texts.CronError != nil {
			return it, usage(texts.CronError)
		}
		add(texts.Name, texts.Cron)
		return it, nil
	}
	add(texts.Name+".service", texts.Service)
	add(texts.Name+".timer", texts.Timer)
	return it, nil
}

func (a *app) printFiles(it installed) error {
	files := it.files
	if a.flags.json {
		type file struct {
			Path    string `json:"path"`
			Content string `json:"content"`
		}
		list := make([]file, len(files))
		for i, f := range files {
			list[i] = file{f.Path, f.Content}
		}
		document := map[string]any{"files": list}
		if it.archiveCommand != "" {
			document["archive_command"] = it.archiveCommand
		}
		return a.printJSON(document)
	}
	for _, f := range files {
		a.say("# %s\n%s", f.Path, f.Content)
	}
	a.sayArchiveCommand(it)
	return nil
}
