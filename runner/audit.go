package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newAudit(a *app) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use: "audit", Short: "List who restored what, where and when", Args: cobra.NoArgs,
		Long: `List the audit log of the repository, the newest entry first: restores into databases
and what else leaves no other trace, with who did it and which approval was given. What
began and did not end was killed.`,
		Example: "  pgbackup-runner audit --repository s3://bucket/prefix\n  pgbackup-runner audit --since 30d --json | jq '.entries[] | select(.outcome == \"failed\")'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.auditLog(cmd.Context(), since) },
	}
	cmd.Flags().StringVar(&since, "since", "", "only entries of this `DURATION` back, such as 30d, or since a time such as 2026-03-01")
	return cmd
}

// auditRow is an entry as it is shown.
type auditRow struct {
	repo.AuditEntry
	Problem string `json:"problem,omitempty"`
	// Unended: it began, and nothing in the log says that it ended.
	Unended bool `json:"unended,omitempty"`
}

func (a *app) auditLog(ctx context.Context, since string) error {
	from, err := a.sinceMoment(since)
	if err != nil {
		return err
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	log, err := r.AuditLog(ctx, from)
	if err != nil {
		return err
	}
	rows, damaged := auditRows(log), 0
	for _, row := range rows {
		if row.Problem != "" {
			damaged++
		}
	}
	if a.flags.json {
		if err := a.printJSON(map[string]any{"entries": nonNil(rows)}); err != nil {
			return err
		}
	} else if err := a.auditTable(r, rows); err != nil {
		return err
	}
	if damaged > 0 {
		a.warn("what is in the audit log and can not be read, or was edited: " + plural(int64(damaged), "object"))
		return errWarned
	}
	return nil
}

// auditRows joins beginnings and ends: an end says all that its beginning does, so of
// what ended only the end is shown, with when it began.
func auditRows(log []repo.AuditListed) []auditRow {
	ended := map[string]bool{}
	for _, e := range log {
		if e.Problem == nil && e.Begun != "" {
			ended[e.Begun] = true
		}
	}
	var rows []auditRow
	for _, e := range log {
		row := auditRow{AuditEntry: e.AuditEntry}
		switch {
		case e.Problem != nil:
			row.Problem = oneLine(e.Problem.Error())
		case e.Outcome == "begun" && ended[e.ID]:
			continue
		case e.Outcome == "begun":
			row.Unended = true
		}
		rows = append(rows, row)
	}
	return rows
}

func (a *app) auditTable(r *repo.Repository, rows []auditRow) error {
	if a.flags.quiet {
		return nil
	}
	if len(rows) == 0 {
		a.say("Nothing is in the audit log of %s.", r.URL())
		return nil
	}
	var cells [][]string
	for _, e := range rows {
		outcome, detail := e.Outcome, e.Error
		switch {
		case e.Problem != "":
			outcome, detail = "unreadable", e.Problem
		case e.Unended:
			outcome = "begun, not ended"
		case e.Detail["old_database"] != "":
			detail = "the old one is " + e.Detail["old_database"]
		}
		approval := e.Approval
		if approval == "" {
			approval = "-"
		}
		cells = append(cells, []string{stamp(e.At), e.By, e.What, e.Of, e.To, outcome, approval, detail})
	}
	return a.table([]string{"WHEN", "WHO", "WHAT", "OF", "TO", "OUTCOME", "APPROVAL", ""}, cells)
}

// sinceMoment reads a time, or a length of time back from now; "" is always.
func (a *app) sinceMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if looksLikeTime.MatchString(text) {
		return parseMoment(text)
	}
	d, err := duration.Parse(text)
	if err != nil {
		return time.Time{}, usagef("--since %q: give a length of time such as 30d, or a time such as 2026-03-01", text)
	}
	return d.SubtractFrom(a.now(), time.UTC), nil
}
