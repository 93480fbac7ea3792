package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drill"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
)

// plannedDrill is a drill in the document of `drill --dry-run --json`.
type plannedDrill struct {
	Source string `json:"source"`
	drill.Planned
	Problem string `json:"problem,omitempty"`
}

// plan says what would be done.
func (d *drilling) plan(ctx context.Context) error {
	list := []plannedDrill{}
	var failed []error
	for _, source := range d.sources {
		planned, err := drill.Plan(ctx, d.options(ctx, source))
		p := plannedDrill{Source: source, Planned: planned}
		if err != nil {
			p.Problem = oneLine(err.Error())
			failed = append(failed, fmt.Errorf("%s: %w", source, err))
		}
		p.Steps = nonNil(p.Steps)
		list = append(list, p)
	}
	if d.app.flags.json {
		if err := d.printJSON(map[string]any{"drills": list}); err != nil {
			return err
		}
	}
	for _, p := range list {
		d.say("Drilling %s would", printable(p.Source))
		for i, s := range p.Steps {
			d.say("%2d. %s", i+1, printable(s))
		}
	}
	return reading(errors.Join(failed...))
}

// write writes the files that were asked for.
func (d *drilling) write(reports []drillreport.Report) error {
	var failed []error
	if name := d.flags.markdown; name != "" {
		pages := make([]string, len(reports))
		for i, r := range reports {
			pages[i] = string(r.Markdown())
		}
		failed = append(failed, os.WriteFile(name, []byte(strings.Join(pages, "\n---\n\n")), 0o644)) //nolint:gosec // a report for others
	}
	if name := d.flags.junit; name != "" {
		failed = append(failed, os.WriteFile(name, drillreport.JUnit(reports), 0o644)) //nolint:gosec // a report for others
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("the drill is done, but its report could not be written: %w", err)
	}
	return nil
}

// tellDrills prints the reports; the error names what is bad, or could not run.
func (d *drilling) tellDrills(reports []drillreport.Report, failed error) error {
	worst := drillreport.Worst(reports)
	if d.app.flags.json {
		if err := d.printJSON(map[string]any{"outcome": worst, "reports": reports}); err != nil {
			return err
		}
	}
	warned := false
	var errs []error
	for _, r := range reports {
		d.tellDrill(r)
		for _, w := range r.Warnings {
			warned = true
			d.warn(r.Point.Source + ": " + w)
		}
		if r.Outcome == worst && worst != drillreport.Proven {
			errs = append(errs, fmt.Errorf("%s: %s", ofDrill(r), r.Reason))
		}
	}
	err := errors.Join(errs...)
	switch {
	case worst == drillreport.BadBackup:
		return exitcode.With(exitcode.BadBackup, errors.Join(fmt.Errorf("%w: %w", errBadDrill, err), failed))
	case worst == drillreport.CouldNotRun:
		return exitcode.With(exitcode.Failed, errors.Join(fmt.Errorf("%w: %w", errNoDrill, err), failed))
	case failed != nil:
		return exitcode.With(exitcode.Failed, failed)
	case warned:
		return errWarned
	}
	return nil
}

var (
	errBadDrill = errors.New("a drill found a bad backup")
	errNoDrill  = errors.New("the drill could not run, which says nothing about the backup")
)

func ofDrill(r drillreport.Report) string {
	if r.Point.ID == "" {
		return r.Point.Source
	}
	return r.Point.Source + ", " + r.Point.ID
}

// tellDrill says in a few lines what came of one.
func (d *drilling) tellDrill(r drillreport.Report) {
	took := took(time.Duration(r.RTO.Seconds * float64(time.Second)))
	switch r.Outcome {
	case drillreport.Proven:
		d.say("Proven: %s, restored in %s%s.", printable(ofDrill(r)), took, ofObjective(r.RTO))
	case drillreport.BadBackup:
		d.say("BAD BACKUP: %s.", printable(ofDrill(r)))
	default:
		d.say("Could not run: %s.", printable(r.Point.Source))
	}
	if rec := r.Recovery; rec != nil {
		d.say("  Recovered %s.", rec.Words())
	}
	if r.RPO != nil && r.Recovery != nil {
		d.say("  Would have been lost: %s.", r.RPO.Words())
	}
	if c := r.Contents; c.Tables > 0 && len(c.Differences) == 0 {
		d.say("  %s, %s, all equal to the backup.", plural(c.Tables, "table"), plural(c.Rows, "row"))
	}
	for i, diff := range r.Contents.Differences {
		if i == maxNamed {
			d.say("  and %s", plural(int64(len(r.Contents.Differences)-i), "more difference"))
			break
		}
		d.say("  %s: %s", printable(diff.Object), printable(oneLine(diff.Problem)))
	}
	for _, c := range r.Checks {
		d.say("  check %s: %s", printable(c.Name), printable(checkResult(c)))
	}
	if a := r.AmCheck; a != nil && a.Passed {
		d.say("  pg_amcheck: passed")
	}
	if n := len(r.LeftOut); n > 0 {
		d.say("  %s left out, so that nothing reaches others; the report names them.", plural(int64(n), "object"))
	}
	d.say("  Report %s of drill %s.", r.ID, r.Drill)
}

func checkResult(c drillreport.Check) string {
	switch {
	case c.Passed:
		return "passed"
	case c.CouldNotRun:
		return "could not run: " + oneLine(c.Problem)
	case c.Problem != "":
		return "FAILED: " + oneLine(c.Problem)
	}
	return fmt.Sprintf("FAILED: expected %s, got %s", c.Expect, c.Got)
}

func ofObjective(r drillreport.RTO) string {
	objective := took(time.Duration(r.Objective * float64(time.Second)))
	switch {
	case r.Kept == nil:
		return ""
	case *r.Kept:
		return ", within the objective of " + objective
	}
	return ", LONGER than the objective of " + objective
}
