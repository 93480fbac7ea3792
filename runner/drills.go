package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

func newDrills(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "drills [DRILL|REPORT]", Short: "List restore drills: the last, the next, and how long restores take", Args: cobra.MaximumNArgs(1),
		Long: `List what restore drills found: for each drill and source the last one and what came of
it, how long the restore took against the objective, when the next one is due where
the schedule is known, and the outcomes of those before. With the id of a report, that
report.`,
		Example: "  pgbackup-runner drills --repository s3://acme-pg-backups/prod\n  pgbackup-runner drills weekly --repository s3://acme-pg-backups/prod --json\n  pgbackup-runner drills 20260301T040000Z-abcdefgh --repository s3://acme-pg-backups/prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.drills(cmd.Context(), strings.Join(args, ""))
		},
	}
}

// unreadableReport is a report in the document of `drills --json` that is there and
// says nothing.
type unreadableReport struct {
	Drill   string `json:"drill"`
	Source  string `json:"source"`
	ID      string `json:"id"`
	Problem string `json:"problem"`
}

func (a *app) drills(ctx context.Context, name string) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	if _, err := repo.ParseID(name); err == nil {
		return a.showDrill(ctx, r, name)
	}
	listed, err := r.DrillReports(ctx, repo.DrillFilter{Drill: name, Source: a.flags.source, Newest: drillreport.Trend})
	if err != nil {
		return err
	}
	if len(listed) == 0 && name != "" {
		return notFound(fmt.Errorf("drill %q%s has no reports in %s; `pgbackup-runner drills` lists those that have", name, ofSource(a.flags.source), r.URL()))
	}
	listed, err = a.withLastProof(ctx, r, listed)
	if err != nil {
		return err
	}
	var reports []drillreport.Report
	unreadable := []unreadableReport{}
	for _, d := range listed {
		if d.Report != nil {
			reports = append(reports, *d.Report)
			continue
		}
		unreadable = append(unreadable, unreadableReport{d.Drill, d.Source, d.ID, oneLine(d.Problem.Error())})
		a.warn(d.Problem.Error())
	}
	plans := a.drillSchedules(ctx, r, reports)
	list := drillreport.Summarize(reports, func(drill string) schedule.Schedule { return plans[drill] }, a.now())
	if a.flags.json {
		if err := a.printJSON(map[string]any{"drills": list, "unreadable": unreadable}); err != nil {
			return err
		}
	} else if err := a.drillsTable(list); err != nil {
		return err
	}
	if len(unreadable) > 0 {
		return errWarned
	}
	return nil
}

func ofSource(source string) string {
	if source == "" {
		return ""
	}
	return " of " + source
}

// withLastProof adds, for those whose newest reports prove nothing, the ones before:
// when a backup was proven last must be told however long ago it was.
func (a *app) withLastProof(ctx context.Context, r *repo.Repository, listed []repo.DrillListed) ([]repo.DrillListed, error) {
	type lane struct{ drill, source string }
	proven, count := map[lane]bool{}, map[lane]int{}
	for _, d := range listed {
		key := lane{d.Drill, d.Source}
		count[key]++
		proven[key] = proven[key] || d.Report != nil && d.Report.Outcome == drillreport.Proven
	}
	for key, n := range count {
		if proven[key] || n < drillreport.Trend {
			continue
		}
		all, err := r.DrillReports(ctx, repo.DrillFilter{Drill: key.drill, Source: key.source})
		if err != nil {
			return nil, err
		}
		listed = append(listed, all[min(n, len(all)):]...)
	}
	return listed, nil
}

func (a *app) showDrill(ctx context.Context, r *repo.Repository, id string) error {
	listed, err := r.DrillReports(ctx, repo.DrillFilter{Source: a.flags.source, ID: id})
	if err != nil {
		return err
	}
	switch {
	case len(listed) == 0:
		return notFound(fmt.Errorf("there is no drill report %s in %s", id, r.URL()))
	case listed[0].Report == nil:
		return listed[0].Problem
	case a.flags.json:
		return a.printJSON(listed[0].Report)
	}
	_, err = a.out.Write(listed[0].Report.Markdown())
	return err
}

func (a *app) drillsTable(list []drillreport.Summary) error {
	if a.flags.quiet {
		return nil
	}
	if len(list) == 0 {
		a.say("No restore drill has reported yet. `pgbackup-runner drill` runs one.")
		return nil
	}
	now := a.now()
	rows := make([][]string, len(list))
	for i, s := range list {
		rows[i] = []string{s.Drill, s.Source, stamp(s.Last.Start), string(s.Last.Outcome), orDash(s.Last.Point), lasted(s.Last.RTO.Seconds), lasted(s.Last.RTO.Objective), "-", "-", trend(s.Trend)}
		if s.Last.RTO.BrokeRTO() {
			rows[i][5] += " (too long)"
		}
		if s.Proven != nil {
			rows[i][7] = age(now.Sub(s.Proven.Start)) + " ago"
		}
		switch {
		case s.Overdue:
			rows[i][8] = "OVERDUE"
		case s.Next != nil:
			rows[i][8] = stamp(*s.Next)
		}
	}
	return a.table([]string{"DRILL", "SOURCE", "LAST", "OUTCOME", "POINT", "RESTORE", "OBJECTIVE", "PROVEN", "NEXT", "TREND"}, rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func lasted(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return took(time.Duration(seconds * float64(time.Second)))
}

// trend writes outcomes, the newest first, with how long the restore took: 4.1s
// 3.9s BAD ? 4.0s.
func trend(list []drillreport.Brief) string {
	var parts []string
	for _, b := range list {
		switch b.Outcome {
		case drillreport.Proven:
			parts = append(parts, lasted(b.RTO.Seconds))
		case drillreport.BadBackup:
			parts = append(parts, "BAD")
		default:
			parts = append(parts, "?")
		}
	}
	return strings.Join(parts, " ")
}
