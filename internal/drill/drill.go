// Package drill restores a recovery point for real, somewhere out of the way, and
// says what that proved: that the backup is good, that it is bad, or nothing.
//
// What lives here: which point is drilled, where it is restored to and that nothing
// is left of it, what is looked at, and the verdict. What must not: restoring
// (package restore), starting servers (package postgres/scratch), the form of
// reports (package drillreport), flags and printing (the faces).
//
// # The verdict
//
// A bad backup is one of which the restore itself says so (damage, data that is not
// what its record says), whose restored database pg_amcheck finds something in, or
// that does not fulfil a check: the statement ran and its value is another. Such a
// point is condemned. Where the WAL between a base backup and the moment is what is
// bad, no point is: each is good as far as the archive goes, and newer ones do not need
// that WAL. All else could not run and says nothing about the backup: a
// server, a network, a disk or rights that are missing, a check that is not valid SQL,
// reads a table that the backup never had (a slip in a check must not condemn every
// backup there is), breaks off or takes too long, and whatever ended the run. A drill that proves a point which was condemned
// does not clear it, since a drill reads less than all of it: `verify --clear` does.
package drill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
)

// Manual is the name of drills that no job asked for.
const Manual = "manual"

// Options of Run.
type Options struct {
	// Repo is read from; Reports is where the report and the mark of a bad point go.
	// They are the same, except that a drill from the replica reports to the primary.
	Repo, Reports *repo.Repository
	Drill         job.Drill
	Name          string // of the job; "" is Manual
	Source        string // whose point is drilled
	// Point is the id of the point, or the beginning of it; "" leaves the choice to
	// Drill.Source.
	Point string

	Policy         string // "" is none
	PolicyRevision int
	Objective      time.Duration // for the restore (RTO); 0 is none
	RPO            time.Duration // objective for what may be lost, of kind physical; 0 is none
	Lag            *float64      // of the replica, in seconds, where it is known

	// Connect gives any database of the server of Drill.Into.Database.
	Connect func(context.Context) (postgres.Target, error)
	// Instances makes temporary RDS instances, for Drill.Into.RDSInstance.
	Instances Instances
	// Readable tells whether the data of a point can be read now: an error says why
	// not, such as that it is in an archive class. With bring it brings such a point
	// back first, and waits. nil takes it that all can be read.
	Readable func(ctx context.Context, ref repo.Ref, bring bool) error

	Limit    time.Duration // for the whole drill; 0 is DefaultLimit
	By       string        // who, for marks and the report
	Runner   string        // version of pgbackup-runner
	Host     string
	Now      func() time.Time
	Log      *slog.Logger
	Progress *restore.Progress // may be nil
}

// DefaultLimit is how long a drill may take unless its job says otherwise: beyond
// it something hangs.
const DefaultLimit = 24 * time.Hour

// ending is how long removing what a drill made, and storing its report, may take
// after the drill itself was ended.
const ending = 2 * time.Minute

// ErrLimit is why a drill that took too long was ended.
var ErrLimit = errors.New("the drill took longer than its limit")

// Run drills one source and stores the report. The report says what came of it; an
// error means that it, or the mark of a bad point, could not be stored, and then the
// report is given all the same.
func Run(ctx context.Context, o Options) (drillreport.Report, error) {
	o.defaults()
	limited, cancel := context.WithTimeoutCause(ctx, o.Limit, ErrLimit)
	defer cancel()
	r := newRun(o)
	err := r.drill(limited)
	r.judge(limited, err)
	r.report.End = o.Now().UTC()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), ending)
	defer stop()
	return r.report, errors.Join(r.condemn(ctx), r.store(ctx))
}

func (o *Options) defaults() {
	if o.Name == "" {
		o.Name = Manual
	}
	if o.Reports == nil {
		o.Reports = o.Repo
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = &restore.Progress{}
	}
	if o.Drill.Kind == "" {
		o.Drill.Kind = string(job.KindLogical)
	}
	o.Drill.Source = o.Drill.Chosen()
	if o.Drill.From == "" {
		o.Drill.From = job.FromPrimary
	}
}

// run is one drill under way.
type run struct {
	Options
	report drillreport.Report
	ref    repo.Ref // of the point, once it was chosen
	bad    []string // what is wrong with the backup
	unsure []string // what could not be found out

	archive repo.WALArchive // of kind physical
	ofWAL   bool            // what is bad is archived WAL, and the point is not to blame
}

func newRun(o Options) *run {
	begun := o.Now().UTC()
	return &run{Options: o, report: drillreport.Report{
		Format: drillreport.Format, ID: repo.NewID(begun), Drill: o.Name, Repository: o.Repo.ID(),
		Policy: o.Policy, PolicyRevision: o.PolicyRevision, Start: begun,
		Point:  drillreport.Point{Source: o.Source, Kind: o.Drill.Kind, Chosen: o.Drill.Source, From: o.Drill.From, Lag: o.Lag},
		Into:   drillreport.Place{Kind: placeKind(o.Drill.Into)},
		RTO:    drillreport.RTO{Objective: o.Objective.Seconds()},
		Phases: []drillreport.Phase{}, Runner: o.Runner, Host: o.Host, By: o.By,
	}}
}

func placeKind(into job.DrillInto) string {
	switch {
	case into.Database != nil:
		return "database"
	case into.RDSInstance != nil:
		return "rds_instance"
	}
	return "scratch_cluster"
}

// drill does the work. Its error is why it broke off, whoever is to blame.
func (r *run) drill(ctx context.Context) error {
	if r.wholeServer() {
		return r.drillRecovery(ctx)
	}
	var manifest *repo.Manifest
	err := r.phase(drillreport.PhaseChoosing, false, func() (err error) {
		manifest, err = r.choose(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if r.Readable != nil && r.Drill.Archived {
		if err := r.phase("bringing it back", true, func() error { return r.Readable(ctx, r.ref, true) }); err != nil {
			return err
		}
	}
	r.Log.Info("drilling a recovery point", "drill", r.Name, "point", r.ref.String(), "chosen", r.report.Point.Chosen)
	if r.Drill.Into.RDSInstance != nil {
		return r.drillSnapshot(ctx, manifest)
	}
	return r.drillDatabase(ctx, manifest)
}

// phase measures a step; needed ones are part of every restore and count for the
// RTO.
func (r *run) phase(name string, needed bool, do func() error) error {
	r.Progress.Step.Store(&name)
	begun := time.Now()
	err := do()
	r.took(name, time.Since(begun).Seconds(), needed)
	return err
}

func (r *run) took(name string, seconds float64, needed bool) {
	r.report.Phases = append(r.report.Phases, drillreport.Phase{Name: name, Seconds: seconds})
	if needed {
		r.report.RTO.Seconds += seconds
	}
}

func (r *run) warn(format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, fmt.Sprintf(format, args...))
}

// store writes the report.
func (r *run) store(ctx context.Context) error {
	if err := r.Reports.PutDrillReport(ctx, r.report); err != nil {
		return fmt.Errorf("the drill is done (%s), but nobody will know it: %w", r.report.Outcome, err)
	}
	return nil
}
