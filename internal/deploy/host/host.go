// Package host carries a job to the machine it runs on: a job file, and either a
// systemd service with its timer or a line for cron. A receiver of WAL has a service
// that runs all the time, and no timer. For machines that do not exist yet there is the
// user data with which cloud-init does the same.
//
// Render is pure and makes the texts; Write and Remove are the thin part that
// touches the disk. What must not live here: what a job means (package job), how
// it is run, and starting or stopping units.
package host

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// Spec is what is needed to run one job on one host. Paths are absolute paths
// there.
type Spec struct {
	Job     job.Job // with Schedule, but for a receiver
	JobPath string  // of the job file
	Runner  string  // of the program pgbackup-runner
	// RunnerSHA256 of that program is noted in the unit, so that what was
	// deployed can be read there; "" when it is not known.
	RunnerSHA256 string

	User            string        // who runs it; "" is root
	EnvironmentFile string        // NAME=value lines for the runner, such as its secrets; may be absent
	RandomizedDelay time.Duration // spreads the start of many hosts; systemd only
	// WritePaths are folders the job writes to besides a directory repository,
	// which is added by itself.
	WritePaths []string
	// ByRunner: written by `pgbackup-runner install`, not by Terraform.
	ByRunner bool
	// Zone is the time zone of the host's cron; nil is UTC.
	Zone *time.Location
	// Fetch says where a machine that is being made gets runner and job from; nil
	// when something else brings them.
	Fetch *Fetch
}

// Fetch is what a machine that is being made needs to know of a repository in S3.
type Fetch struct {
	Programs map[string]shell.Program // by name of the architecture, x86_64 or arm64
	JobURL   string                   // as --job takes it, see deploy.JobURL
}

// Rendered is the texts for a host.
type Rendered struct {
	Name    string // of the units and of the file for cron: pgbackup-<job>
	Job     string // content of the job file
	Service string // content of <Name>.service
	Timer   string // content of <Name>.timer; "" of a receiver
	// Cron is the content of /etc/cron.d/<Name>; "" when CronError is set.
	Cron string
	// CronError says why cron can not run the job, such as a time zone that is
	// not the host's. A systemd timer always can.
	CronError error
	// CloudInit is user data that installs runner and job on a machine when it is
	// made; "" without Fetch.
	CloudInit string
	// ArchiveCommand is what archive_command of the server has to be, for a job that
	// takes WAL by push; "" for others.
	ArchiveCommand string
}

// UnitName of a job, without an ending.
func UnitName(job string) string { return "pgbackup-" + job }

// Render makes the texts. The error names everything that is wrong with spec.
func Render(spec Spec) (Rendered, error) {
	if err := spec.validate(); err != nil {
		return Rendered{}, fmt.Errorf("render job %q for a host: %w", spec.Job.Name, err)
	}
	document, err := spec.Job.Encode()
	if err != nil {
		return Rendered{}, err
	}
	r := Rendered{Name: UnitName(spec.Job.Name), Job: string(document), Service: spec.service()}
	if spec.Job.Receives() {
		r.CronError = errors.New("a receiver of WAL runs all the time, and cron keeps nothing running: use systemd")
	} else {
		when, err := schedule.Parse(spec.Job.Schedule.Cron, spec.Job.Schedule.Timezone)
		if err != nil {
			return Rendered{}, fmt.Errorf("render job %q for a host: %w", spec.Job.Name, err)
		}
		r.Timer = spec.timer(when)
		r.Cron, r.CronError = spec.cron(when)
	}
	if spec.Job.Pushes() {
		r.ArchiveCommand = pgwal.ArchiveCommand(spec.Runner, spec.JobPath, spec.EnvironmentFile)
	}
	if spec.Fetch != nil {
		r.CloudInit = spec.cloudInit()
	}
	return r, nil
}

func (s Spec) validate() error {
	var errs []error
	switch receives := s.Job.Receives(); {
	case receives && s.Job.Schedule != nil:
		errs = append(errs, errors.New("a receiver of WAL runs all the time: it has no schedule"))
	case receives && s.RandomizedDelay != 0:
		errs = append(errs, errors.New("a receiver of WAL runs all the time: there is no start to delay"))
	case !receives && s.Job.Schedule == nil:
		errs = append(errs, errors.New("the job has no schedule"))
	}
	for _, p := range append([]struct{ what, path string }{
		{"path of the job file", s.JobPath}, {"path of the runner", s.Runner}, {"environment file", s.EnvironmentFile},
	}, s.writePaths()...) {
		if p.path != "" || p.what != "environment file" {
			errs = append(errs, checkPath(p.what, p.path))
		}
	}
	if strings.Contains(s.Runner, "$") {
		errs = append(errs, fmt.Errorf("path of the runner %q: systemd allows no '$' there", s.Runner))
	}
	if strings.ContainsFunc(s.User, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r)
	}) {
		errs = append(errs, fmt.Errorf("user %q: give the name of a user of the host", s.User))
	}
	errs = append(errs, s.checkFetch())
	if s.RandomizedDelay < 0 {
		errs = append(errs, fmt.Errorf("randomized delay %s: must not be negative", s.RandomizedDelay))
	}
	return errors.Join(errs...)
}

func (s Spec) writePaths() []struct{ what, path string } {
	var paths []struct{ what, path string }
	for _, p := range s.allWritePaths() {
		paths = append(paths, struct{ what, path string }{"folder to write to", p})
	}
	return paths
}

// allWritePaths adds the directory of a directory repository, the one that a drill puts
// its server in, and that of what was received and is not stored yet.
func (s Spec) allWritePaths() []string {
	var paths []string
	if at, err := job.ParseRepository(s.Job.Repository); err == nil && at.IsDirectory() {
		paths = append(paths, at.Directory)
	}
	if at := s.Job.ScratchDirectory(); at != "" {
		paths = append(paths, at)
	}
	if s.Job.Receives() && s.Job.WAL.Spool != "" {
		paths = append(paths, s.Job.WAL.Spool)
	}
	return append(paths, s.WritePaths...)
}

func checkPath(what, p string) error {
	switch {
	case p == "":
		return fmt.Errorf("%s is missing", what)
	case !path.IsAbs(p):
		return fmt.Errorf("%s %q: give an absolute path", what, p)
	case path.Clean(p) != p:
		return fmt.Errorf("%s %q: write it as %q", what, p, path.Clean(p))
	case strings.ContainsFunc(p, unicode.IsControl):
		return fmt.Errorf("%s %q: control characters are not allowed", what, p)
	}
	return nil
}

// command is the command line of the job, one word each.
func (s Spec) command() []string {
	return append(append([]string{s.Runner}, s.Job.Words()...), "--job", s.JobPath)
}

// whats says what a run of each kind is, in the description of a unit.
var whats = map[job.Kind]string{
	job.KindLogical: "backup", job.KindPhysical: "base backup", job.KindWAL: "check of archived WAL", job.KindGlobals: "backup of roles", job.KindConfig: "backup of the configuration",
	job.KindFiles: "backup of files", job.KindCommand: "backup of a command's output", job.KindRDSSnapshot: "snapshot",
	job.KindRotate: "rotation", job.KindVerify: "verification", job.KindDrill: "restore drill", job.KindFreshness: "check for fresh backups",
}

func (s Spec) describe() string {
	what := whats[s.Job.Kind]
	if s.Job.Receives() {
		what = "WAL receiver"
	}
	return fmt.Sprintf("PostgreSQL %s %s (pgbackup)", what, s.Job.Name)
}
