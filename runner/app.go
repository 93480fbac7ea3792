package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/mattn/go-isatty"
	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// app is one invocation: its streams, global flags, and what follows from them.
type app struct {
	streams
	flags       globalFlags
	args        []string // the command line, without the program's name
	now         func() time.Time
	outTerminal bool // standard output is a terminal

	log    *slog.Logger
	screen *observe.Screen // standard error, shared by log lines and progress
	job    *job.Job        // nil without --job

	jobFile    []byte             // the bytes job was read from
	opened     *repo.Repository   // nil until something opens the repository
	copied     *location.Location // where the copy is that is read; nil for the repository itself
	replicaUse replicaUse         // what the command has to do with a copy
	onLambda   bool               // the program runs as a function of AWS Lambda
	scratch    []string           // files that are removed at the end of the run
	failure    string             // the error the run ended with, as it was told; "" for none

	awsOptions []func(*config.LoadOptions) error // added when the AWS configuration is loaded
	awsMu      sync.Mutex
	awsConfig  *aws.Config // nil until something needs AWS

	outcomeMu sync.Mutex
	outcome   outcome // what the run did so far

	stateLimit  int       // how many versions of a state file are read
	ignoredDays sync.Once // tells once that BACKUP_RETENTION_DAYS is not used
	keyMissed   []error   // why the references a repository suggests gave no key
}

// globalFlags are the flags every command has.
type globalFlags struct {
	job, repository, endpoint, region string
	database, source, policy, key     string
	from, replica                     string
	json, quiet                       bool
	logLevel, logFormat               string
}

func (f *globalFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.job, "job", "", "job `FILE` that says what to do, as the Terraform provider writes it; or s3://bucket/key of one")
	set.StringVar(&f.repository, "repository", "", "`URL` of the repository: file:///directory or s3://bucket/prefix")
	set.StringVar(&f.endpoint, "s3-endpoint", "", "`URL` of an S3-compatible service instead of AWS")
	set.StringVar(&f.region, "region", "", "AWS `REGION` of the bucket")
	set.StringVar(&f.from, "from", "", "read from the `primary` (default) or from the replica, the copy that the bucket's replication makes in another region")
	set.StringVar(&f.replica, "replica", "", "`URL` of the replica (default the job's, BACKUP_SECONDARY_BUCKET and BACKUP_SECONDARY_REGION, or what the bucket's replication rule says)")
	set.StringVar(&f.database, "database", "", "`URI` of the database (postgres://user@host/name); the password comes from PGPASSWORD or ~/.pgpass")
	set.StringVar(&f.source, "source", "", "`NAME` of what is backed up (default database@host; of files, a command or a directory JOB@host)")
	set.StringVar(&f.policy, "policy", "", "`NAME` of a policy in the repository, or FILE with a policy document")
	set.StringVar(&f.key, "key", "", "`REFERENCE` of the encryption key: env:NAME, file:/path, secretsmanager:NAME, ssm:/NAME or kms:ARN")
	set.BoolVar(&f.json, "json", false, "print one JSON document on standard output")
	set.BoolVar(&f.quiet, "quiet", false, "print nothing but warnings and errors")
	set.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error (default warn on a terminal, else info)")
	set.StringVar(&f.logFormat, "log-format", "", "text or json (default text on a terminal, else json)")
}

// prepare sets up the log and reads the job file. It runs before each command.
func (a *app) prepare(ctx context.Context) error {
	a.screen = observe.NewScreen(a.err, isTerminal(a.err))
	level, err := a.level()
	if err != nil {
		return err
	}
	options := &slog.HandlerOptions{Level: level}
	switch format := a.flags.logFormat; {
	case format == "text", format == "" && a.screen.Terminal():
		a.log = slog.New(slog.NewTextHandler(a.screen, options))
	case format == "json", format == "":
		a.log = slog.New(slog.NewJSONHandler(a.screen, options))
	default:
		return usagef("--log-format %q: give text or json", format)
	}
	return a.readJob(ctx)
}

func (a *app) level() (slog.Level, error) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	name := strings.ToLower(a.flags.logLevel)
	if name == "" {
		if a.screen.Terminal() || a.flags.quiet {
			return slog.LevelWarn, nil
		}
		return slog.LevelInfo, nil
	}
	level, ok := levels[name]
	if !ok {
		return 0, usagef("--log-level %q is not known%s", a.flags.logLevel, nearest.Suggestion(name, []string{"debug", "info", "warn", "error"}))
	}
	return level, nil
}

// endProgress takes a progress bar off the screen, if there is one.
func (a *app) endProgress() {
	if a.screen != nil {
		a.screen.Close()
	}
}

// warn tells the user of something that makes the exit code 3.
func (a *app) warn(warnings ...string) {
	for _, w := range warnings {
		a.log.Warn(oneLine(w))
		a.noteWarning(oneLine(w))
	}
}

// say prints a line for people, unless they asked for JSON or silence.
func (a *app) say(format string, args ...any) {
	if !a.flags.json && !a.flags.quiet {
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// by is who acts, for marks and tombstones: user@host.
func by() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	for _, name := range []string{"USER", "LOGNAME"} {
		if user := os.Getenv(name); user != "" {
			return user + "@" + host
		}
	}
	return fmt.Sprintf("uid %d@%s", os.Getuid(), host)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
