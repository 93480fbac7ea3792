package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

// read finds out what is drilled, and where: by the job, and by what is given over it.
func (d *drilling) read(args []string) error {
	f := d.flags
	if d.job != nil && d.job.Kind == job.KindDrill {
		d.what = *d.job.Drill
	}
	if d.job != nil {
		d.limit, _ = d.job.Limits.MaxDuration.Exact() // the job holds it to an exact one
	}
	if len(args) > 0 {
		switch d.what.Seed = 0; args[0] {
		case job.DrillLatest, job.DrillOldest, job.DrillRandom:
			d.what.Source = args[0]
		default:
			d.point, d.what.Source = args[0], ""
		}
	}
	if f.seed != 0 {
		d.what.Seed = f.seed
	}
	if f.jobs != 0 {
		d.what.Jobs = f.jobs
	}
	if f.inDatabase != "" {
		d.what.Database = f.inDatabase
	}
	d.what.AmCheck = d.what.AmCheck || f.amcheck
	d.what.Archived = d.what.Archived || f.thaw.ask
	if !d.what.Archived {
		if _, err := f.thaw.plan(); err != nil {
			return err
		}
	}
	if err := d.readPlace(); err != nil {
		return err
	}
	checks, err := f.readChecks()
	if err != nil {
		return err
	}
	if len(checks) > 0 {
		d.what.Checks = checks
	}
	whole := job.Job{Format: job.Format, Name: d.name, Kind: job.KindDrill, Repository: "file:///any", Drill: &d.what}
	if err := whole.Validate(); err != nil {
		return usagef("drill: %w", err)
	}
	return nil
}

// readPlace is where to restore to.
func (d *drilling) readPlace() error {
	f := d.flags
	if f.kind != "" {
		d.what.Kind = f.kind
	}
	switch {
	case f.into != "" && f.into != "scratch":
		return usagef("--into %q is not known: give scratch, or --into-database URI", f.into)
	case f.database != "" && d.what.Kind == string(job.KindPhysical):
		return usagef("--into-database has no room for a whole server (--kind physical): leave it out, and it becomes a scratch server")
	case f.database != "" && (f.into != "" || f.directory != ""):
		return usagef("--into-database and a scratch server are two places: give one")
	case f.database != "":
		t, err := postgres.ParseTarget(f.database)
		if err != nil {
			return usagef("--into-database: %w", err)
		}
		if hasPassword(f.database) {
			d.warn("the password in --into-database can be read by every user of this machine while the program runs; put it into PGPASSWORD or ~/.pgpass")
		}
		d.what.Into = job.DrillInto{Database: &job.DrillDatabase{Server: job.Server{Host: t.Host}}}
	case f.into != "" || f.directory != "":
		d.what.Into = job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: f.directory}}
	case d.what.Into == (job.DrillInto{}) && d.what.Kind == string(job.KindRDSSnapshot):
		d.what.Into = job.DrillInto{RDSInstance: &job.DrillInstance{}}
	case d.what.Into == (job.DrillInto{}):
		d.what.Into = job.DrillInto{ScratchCluster: &job.ScratchCluster{}}
	}
	return nil
}

// maxChecksFile bounds a file of checks in bytes.
const maxChecksFile = 1 << 20

// readChecks reads --checks, --check and --expect.
func (f drillFlags) readChecks() ([]job.DrillCheck, error) {
	var checks []job.DrillCheck
	if f.checksFile != "" {
		data, err := os.ReadFile(f.checksFile)
		if err == nil && len(data) > maxChecksFile {
			err = fmt.Errorf("it has %d bytes, more than %d", len(data), maxChecksFile)
		}
		if err != nil {
			return nil, usagef("--checks: %w", err)
		}
		var named map[string]struct {
			SQL     string            `json:"sql"`
			Expect  string            `json:"expect"`
			Timeout duration.Duration `json:"timeout"`
		}
		if err := strictjson.UnmarshalNamed("checks", data, &named); err != nil {
			return nil, usagef("--checks %s: %w", f.checksFile, err)
		}
		for name, c := range named {
			checks = append(checks, job.DrillCheck{Name: name, SQL: c.SQL, Expect: c.Expect, Timeout: c.Timeout})
		}
		slices.SortFunc(checks, func(a, b job.DrillCheck) int { return strings.Compare(a.Name, b.Name) })
	}
	for _, given := range f.checks {
		name, sql, ok := strings.Cut(given, "=")
		if !ok {
			return nil, usagef("--check %q: give NAME=SQL, such as 'orders=select count(*) from orders'", given)
		}
		checks = append(checks, job.DrillCheck{Name: strings.TrimSpace(name), SQL: strings.TrimSpace(sql)})
	}
	for _, given := range f.expect {
		name, value, ok := strings.Cut(given, "=")
		at := slices.IndexFunc(checks, func(c job.DrillCheck) bool { return c.Name == strings.TrimSpace(name) })
		if !ok || at < 0 {
			return nil, usagef("--expect %q: give NAME=VALUE with the name of a --check", given)
		}
		checks[at].Expect = strings.TrimSpace(value)
	}
	return checks, nil
}

// findSources lists the sources to drill.
func (d *drilling) findSources(ctx context.Context) ([]string, error) {
	kind := d.what.Kind
	if kind == "" {
		kind = string(job.KindLogical)
	}
	switch {
	case d.point != "":
		p, err := d.find(ctx, d.from, d.point, kind)
		if err != nil && (p.ID == "" || codeOf(reading(err)) != exitcode.BadBackup) {
			return nil, err
		}
		if p.Kind != kind {
			return nil, usagef("drill: %s is of kind %s, and this drill is of %s", p, p.Kind, kind)
		}
		d.point = p.ID
		return []string{p.Source}, nil
	case d.app.flags.source != "":
		if err := d.checkSelection(ctx, d.from, kind); err != nil {
			return nil, err
		}
		return []string{d.app.flags.source}, nil
	case len(d.what.Of) > 0:
		return d.what.Of, nil
	}
	lanes, err := d.survey(ctx, d.from, repo.Filter{Kind: kind}, d.statusPolicy())
	if err != nil {
		return nil, err
	}
	of := ""
	if name := d.statusPolicy(); name != "" {
		of = " under policy " + name
	}
	if d.job != nil && d.job.Kind != job.KindDrill {
		match, err := d.ownSources(ctx)
		if err != nil {
			return nil, err
		}
		lanes = matching(lanes, match)
		of = fmt.Sprintf(" of job %q", d.job.Name)
	}
	var sources []string
	for _, l := range lanes {
		sources = append(sources, l.source)
	}
	if len(sources) == 0 {
		return nil, exitcode.Errorf(exitcode.NotFound, "there is nothing to drill%s: no recovery points of kind %s in %s", of, kind, d.from.URL())
	}
	return sources, nil
}

// connect logs in to the server of into.database.
func (d *drilling) connect(ctx context.Context) (postgres.Target, error) {
	if d.flags.database != "" {
		return postgres.ParseTarget(d.flags.database)
	}
	into := d.what.Into.Database
	if into == nil {
		return postgres.Target{}, errors.New("the drill names no server")
	}
	s, err := d.connectTo(ctx, jobServer{field: "job.drill.into.database", server: into.Server, url: into.DatabaseURLRef})
	return s.Target, err
}

// fmtDrill says what a drill needed that failed.
func fmtDrill(what string, err error) error { return fmt.Errorf("drill: %s: %w", what, err) }
