package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/simulate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// simulateFlags of the command policy simulate.
type simulateFlags struct {
	points, now, cron, timezone string
	days                        int
	reasons                     bool
	given                       func(name string) bool
}

func newPolicySimulate(a *app) *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use: "simulate", Short: "Say what a policy keeps, from today on or of a list of points", Args: cobra.NoArgs,
		Long: `Play a schedule forward and show what is kept in the end, or, with --points, decide
about a list of points as "rotate" would. Nothing is read from or written to a
repository, except the policy when it is named and not a file.

A list is a JSON array of objects with "id" (any text), "start" (RFC 3339) and, if you
like, "verified", "held", "source", "kind" and "end"; what "list --json" prints is one,
too. Points without "verified" count as verified: recovery points are, before they
become visible. Each source and kind is decided on its own.`,
		Example: "  pgbackup-runner policy simulate --keep-daily 14 --keep-monthly 12 --cron '0 2 * * *' --days 400\n" +
			"  pgbackup-runner list --json | pgbackup-runner policy simulate --policy ./prod.json --points -\n" +
			"  pgbackup-runner policy simulate --keep-weekly 8 --points points.json --now 2026-03-01T00:00:00Z --json",
	}
	set := cmd.Flags()
	set.StringVar(&f.points, "points", "", "decide about the points in this JSON `FILE` (- is standard input)")
	set.StringVar(&f.now, "now", "", "the `TIME` it is, such as 2026-03-01T02:00:00Z (default the present)")
	set.StringVar(&f.cron, "cron", "0 2 * * *", "the `SCHEDULE` to play forward, five cron fields")
	set.StringVar(&f.timezone, "timezone", "", "IANA time `ZONE` of the schedule, and of the days of rules that come without a policy (default UTC)")
	set.IntVar(&f.days, "days", 365, "how many `DAYS` to play forward")
	set.BoolVarP(&f.reasons, "reasons", "v", false, "also list the points, each with its reasons")
	keep := newKeepFlags(set)
	f.given = set.Changed
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), f, keep) }
	return cmd
}

func (a *app) simulate(ctx context.Context, f simulateFlags, keep *keepFlags) error {
	now, err := a.momentFlag("--now", f.now)
	if err != nil {
		return err
	}
	zone, err := timezone.Load(f.timezone)
	if err != nil {
		return usagef("--timezone: %w", err)
	}
	if f.points != "" && (f.given("cron") || f.given("days")) {
		return usagef("--points decides about the points it is given: leave out --cron and --days")
	}
	found, err := a.simulatedRules(ctx, keep)
	if err != nil {
		return err
	}
	if f.points != "" && found.name != "" && f.given("timezone") {
		return usagef("--timezone: with --points there is no schedule, and the days of policy %s begin in %s: leave it out", found.name, found.Location)
	}
	if found.name == "" {
		found.Location = zone
	}
	if f.points != "" {
		return a.simulatePoints(f, found, now)
	}
	sched, err := schedule.Parse(f.cron, f.timezone)
	if err != nil {
		return usagef("--cron: %w", err)
	}
	result, err := simulate.Forward(simulate.Input{Rules: found.Rules, Schedule: sched, From: now, Days: f.days})
	if err != nil {
		return usagef("policy simulate: %w", err)
	}
	return a.simulatedForward(f, found, sched, result)
}

// simulatedRules are the rules to try. The repository is opened only for a policy
// that is in it.
func (a *app) simulatedRules(ctx context.Context, keep *keepFlags) (rules, error) {
	var r *repo.Repository
	if name := a.policyName(); name != "" && !isPolicyFile(name) {
		var err error
		if r, err = a.open(ctx); err != nil {
			return rules{}, err
		}
	}
	found, err := a.rules(ctx, r, keep)
	switch {
	case err != nil:
		return found, err
	case found.none == "":
		return found, nil
	case found.name == "":
		return found, usagef("policy simulate: nothing says what to keep: give --keep-daily 30 or another --keep-… rule, or --policy NAME or ./FILE")
	}
	return found, usagef("policy simulate: %s, under it nothing is deleted; give --keep-… rules, or the file of another policy", found.none)
}

// momentFlag reads a time, the present when none is given.
func (a *app) momentFlag(flag, text string) (time.Time, error) {
	if text == "" {
		return a.now(), nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, usagef("%s: %w", flag, err)
	}
	return t, nil
}

// simulatedPoint is a point in the document of `policy simulate --points --json`,
// which others rely on.
type simulatedPoint struct {
	ID      string   `json:"id"`
	Reasons []string `json:"reasons"`
}

func (a *app) simulatePoints(f simulateFlags, found rules, now time.Time) error {
	points, err := a.readPoints(f.points)
	if err != nil {
		return err
	}
	plan := retention.Decide(retention.Input{Points: points, Rules: found.Rules, Now: now})
	if a.flags.json {
		document := struct {
			Keep   []simulatedPoint `json:"keep"`
			Delete []simulatedPoint `json:"delete"`
		}{simulated(plan.Keep), simulated(plan.Delete)}
		return a.printJSON(document)
	}
	a.say("%s: keeps %s of %s, as of %s.", rulesText(found), count(int64(len(plan.Keep))), plural(int64(len(points)), "point"), stamp(now))
	var series []series
	for _, d := range plan.Keep {
		n := len(series) - 1
		if n < 0 || series[n].source != d.Point.Source || series[n].kind != d.Point.Kind {
			series = append(series, newSeries(d.Point))
			n++
		}
		if !d.Point.Start.IsZero() {
			series[n].points = append(series[n].points, calendarPoint{d.Point.Start, d.Tier})
		}
	}
	for i, s := range series {
		if i == maxCalendars {
			a.say("\n%s more, not drawn; --reasons lists their points.", plural(int64(len(series)-i), "source"))
			break
		}
		if len(series) > 1 {
			a.say("\n%s, %s: %s", printable(s.source), printable(s.kind), plural(int64(len(s.points)), "point"))
		}
		a.drawCalendar(found.Location, s.points)
	}
	if !f.reasons || a.flags.quiet {
		return nil
	}
	var rows [][]string
	add := func(what string, list []retention.Decision) {
		for _, d := range list {
			rows = append(rows, []string{what, d.Point.ID, stamp(d.Point.Start), strings.Join(d.Reasons, "; ")})
		}
	}
	add("keep", plan.Keep)
	add("delete", plan.Delete)
	a.say("")
	return a.table([]string{"", "ID", "STARTED", "REASONS"}, rows)
}

// maxCalendars is how many sources are drawn.
const maxCalendars = 8

// series are the kept points of one source and kind.
type series struct {
	source, kind string
	points       []calendarPoint
}

func newSeries(p *retention.Point) series { return series{source: p.Source, kind: p.Kind} }

func simulated(list []retention.Decision) []simulatedPoint {
	out := make([]simulatedPoint, len(list))
	for i, d := range list {
		out[i] = simulatedPoint{d.Point.ID, nonNil(d.Reasons)}
	}
	return out
}

func (a *app) simulatedForward(f simulateFlags, found rules, sched schedule.Schedule, result simulate.Result) error {
	if a.flags.json {
		return a.printJSON(forwardDocument(sched, result))
	}
	a.say("%s, %s at %q (%s) from %s: of %s, %s are kept in the end.", rulesText(found), plural(int64(f.days), "day"), sched, sched.Timezone(), stamp(result.From),
		plural(int64(result.Runs), "point"), count(int64(len(result.Kept))))
	points := make([]calendarPoint, len(result.Kept))
	for i, k := range result.Kept {
		points[i] = calendarPoint{k.Start, k.Tier}
	}
	a.drawCalendar(found.Location, points)
	for _, s := range result.Skipped {
		a.say("No run at %s: clocks in %s skip that time.", s.Format("2006-01-02 15:04"), sched.Timezone())
	}
	if !f.reasons || a.flags.quiet {
		return nil
	}
	rows := make([][]string, len(result.Kept))
	for i, k := range result.Kept {
		rows[i] = []string{stamp(k.Start), k.Tier, strings.Join(k.Reasons, "; ")}
	}
	a.say("")
	return a.table([]string{"STARTED", "TIER", "REASONS"}, rows)
}

// forwardDocument is the document of `policy simulate --json` without --points.
func forwardDocument(sched schedule.Schedule, result simulate.Result) any {
	type kept struct {
		Start   time.Time `json:"start"`
		Tier    string    `json:"tier"`
		Reasons []string  `json:"reasons"`
	}
	document := struct {
		From     time.Time `json:"from"`
		Until    time.Time `json:"until"`
		Cron     string    `json:"cron"`
		Timezone string    `json:"timezone"`
		Runs     int       `json:"runs"`
		Deleted  int       `json:"deleted"`
		Keep     []kept    `json:"keep"`
		Skipped  []string  `json:"skipped"` // local times that clocks skip
	}{result.From, result.Until, sched.String(), sched.Timezone(), result.Runs, result.Deleted(), []kept{}, []string{}}
	for _, k := range result.Kept {
		document.Keep = append(document.Keep, kept{k.Start, k.Tier, nonNil(k.Reasons)})
	}
	for _, s := range result.Skipped {
		document.Skipped = append(document.Skipped, s.Format("2006-01-02T15:04"))
	}
	return document
}

// rulesText says which rules were applied: "Policy prod, revision 3 (keep_last 3)".
func rulesText(found rules) string {
	text := ""
	switch {
	case found.name == "":
	case found.revision > 0:
		text = fmt.Sprintf("Policy %s, revision %d", found.name, found.revision)
	default:
		text = "Policy " + found.name
	}
	rules := keepText(found.Rules)
	if text == "" {
		return rules
	}
	return text + " (" + rules + ")"
}

// keepText lists the rules that are given: "keep_daily 30, wal 7d".
func keepText(r retention.Rules) string {
	var parts []string
	for _, f := range r.Fields() {
		if value := f.Value(); value != "off" {
			parts = append(parts, f.Name+" "+value)
		}
	}
	if !r.ExpireAfter.IsZero() {
		parts = append(parts, "expire_after "+r.ExpireAfter.String())
	}
	return strings.Join(parts, ", ")
}

// drawCalendar shows points on the terminal, or as it would look on one.
func (a *app) drawCalendar(zone *time.Location, points []calendarPoint) {
	lines := a.calendar(zone).draw(points)
	if len(lines) > 0 {
		a.say("")
	}
	for _, line := range lines {
		a.say("%s", line)
	}
}

func (a *app) calendar(zone *time.Location) calendar {
	c := calendar{zone: zone, width: 80}
	o, _ := a.out.(output)
	if f, ok := o.w.(*os.File); ok && a.outTerminal {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			c.width = width
		}
		c.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return c
}
