package drillreport

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
)

// listed bounds the lists of a report for people; the JSON has all of them.
const listed = 50

// kindPhysical is that of points which are recovered to a moment, by its name in jobs.
const kindPhysical = "physical"

// Markdown writes the report for people: for a ticket, or an auditor. Whatever
// names and statements hold, it can not become markup.
func (r Report) Markdown() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Restore drill %s of %s: %s\n", text(r.Drill), text(r.Point.Source), r.Outcome.words())
	if r.Reason != "" {
		line("%s\n", text(r.Reason))
	}
	row := func(name, value string) {
		if value != "" {
			line("| %s | %s |", name, value)
		}
	}
	line("| | |\n|---|---|")
	row("Recovery point", r.Point.words())
	row("Restored into", text(strings.Join(present(strings.ReplaceAll(r.Into.Kind, "_", " "), r.Into.Where, version(r.Into.Version)), ", ")))
	row("Began", moment(r.Start))
	row("Ended", moment(r.End))
	row("Recovered", text(r.Recovery.Words()))
	row("Could be recovered", text(r.Recovery.window()))
	row("Restore took", r.RTO.words())
	row("Would have been lost", text(r.RPO.Words()))
	row("Repository", text(r.Repository))
	if r.Policy != "" {
		row("Policy", text(fmt.Sprintf("%s, revision %d", r.Policy, r.PolicyRevision)))
	}
	row("Ran on", text(strings.Join(present(r.Host, r.By, "pgbackup-runner "+r.Runner), ", ")))
	row("Report", text(r.ID))
	r.contentsMarkdown(line)
	r.checksMarkdown(line)
	if len(r.Phases) > 0 {
		line("\n## Phases\n\n| phase | seconds |\n|---|---:|")
		for _, p := range r.Phases {
			line("| %s | %.1f |", text(p.Name), p.Seconds)
		}
	}
	list := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		line("\n## %s\n", title)
		for i, item := range items {
			if i == listed {
				line("- and %d more, in the JSON report", len(items)-listed)
				break
			}
			line("- %s", text(item))
		}
	}
	list("Warnings", r.Warnings)
	left := make([]string, len(r.LeftOut))
	for i, l := range r.LeftOut {
		left[i] = l.What + ": " + l.Why
	}
	list("Left out, so that nothing reaches others", left)
	list("Isolation", r.Into.Isolation)
	return []byte(b.String())
}

func (r Report) contentsMarkdown(line func(string, ...any)) {
	c := r.Contents
	if c.Tables == 0 && len(c.Differences) == 0 {
		return
	}
	line("\n## Contents\n")
	if len(c.Differences) == 0 {
		line("%d tables, %d rows, %s, %d large objects and %d sequences are what the backup says.", c.Tables, c.Rows, bytesize.Text(c.Bytes), c.LargeObjects, c.Sequences)
		return
	}
	line("| what | problem |\n|---|---|")
	for i, d := range c.Differences {
		if i == listed {
			line("| … | and %d more, in the JSON report |", len(c.Differences)-listed)
			break
		}
		line("| %s | %s |", text(d.Object), text(d.Problem))
	}
}

func (r Report) checksMarkdown(line func(string, ...any)) {
	if len(r.Checks) > 0 {
		line("\n## Checks\n\n| check | result | expected | got | seconds |\n|---|---|---|---|---:|")
		for _, c := range r.Checks {
			result, got := "passed", c.Got
			if !c.Passed {
				result = "FAILED"
			}
			if c.CouldNotRun {
				result = "could not run"
			}
			if c.Problem != "" {
				got = c.Problem
			}
			line("| %s | %s | %s | %s | %.1f |", text(c.Name), result, text(c.Expect), text(got), c.Seconds)
		}
	}
	if a := r.AmCheck; a != nil {
		line("\n## pg_amcheck\n")
		switch {
		case a.Passed:
			line("found nothing wrong in tables and indexes.")
		case a.CouldNotRun:
			line("could not run:\n")
		default:
			line("found:\n")
		}
		for i, p := range a.Problems {
			if i == listed {
				line("- and %d more, in the JSON report", len(a.Problems)-listed)
				break
			}
			line("- %s", text(p))
		}
	}
}

// words says an outcome to people.
func (o Outcome) words() string {
	switch o {
	case Proven:
		return "proven"
	case BadBackup:
		return "BAD BACKUP"
	case CouldNotRun:
		return "could not run"
	}
	return text(string(o))
}

func (p Point) words() string {
	if p.ID == "" {
		return "none could be chosen (" + text(p.Chosen) + ")"
	}
	parts := []string{p.ID, p.Chosen}
	if p.Seed != 0 {
		parts[1] = fmt.Sprintf("%s of %d with seed %d", p.Chosen, p.Among, p.Seed)
		if p.Kind == kindPhysical {
			parts[1] = fmt.Sprintf("for a %s moment with seed %d", p.Chosen, p.Seed)
		}
	}
	parts = append(parts, "taken "+moment(p.Start))
	if p.Stored > 0 {
		parts = append(parts, bytesize.Text(p.Stored)+" stored")
	}
	if p.From != "" {
		parts = append(parts, "read from the "+p.From)
	}
	if p.Lag != nil {
		parts = append(parts, fmt.Sprintf("which was %s behind", seconds(*p.Lag)))
	}
	return text(strings.Join(parts, ", "))
}

func (r RTO) words() string {
	if r.Seconds == 0 {
		return ""
	}
	took := seconds(r.Seconds)
	switch {
	case r.Kept == nil:
		return took
	case *r.Kept:
		return took + ", within the objective of " + seconds(r.Objective)
	}
	return took + ", LONGER than the objective of " + seconds(r.Objective)
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func version(v string) string {
	if v == "" {
		return ""
	}
	return "PostgreSQL " + v
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func present(parts ...string) []string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	return list
}

// markup are the characters that mean something in Markdown or HTML.
var markup = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "|", `\|`, "[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`, "<", "&lt;", ">", "&gt;", "&", "&amp;")

// text is what somebody else wrote, in one line and without markup.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
	return markup.Replace(s)
}
