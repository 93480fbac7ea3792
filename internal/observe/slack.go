package observe

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// A message in Slack is read on a phone: it names a few points and warnings, and
// how many more there are.
const (
	slackPoints   = 5
	slackWarnings = 3
	slackText     = 600 // runes of an error or a warning; a block takes 3,000
)

// slackBlock is a part of a message in Slack's Block Kit.
type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackItem  `json:"text,omitempty"`
	Elements []slackItem `json:"elements,omitempty"`
}

type slackItem struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// slackDocument is the body an incoming webhook takes. Text is what notifications
// show of it.
type slackDocument struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

func slackMessage(r Report) slackDocument {
	title := slackTitle(r)
	lines := []string{title}
	if r.Error != "" {
		lines = append(lines, "> "+slackEscape(shortened(r.Error, slackText)))
	}
	blocks := []slackBlock{section(strings.Join(lines, "\n"))}
	if list := slackDetails(r); len(list) > 0 {
		blocks = append(blocks, section(strings.Join(list, "\n")))
	}
	about := []string{slackEscape(r.Repository), slackEscape(r.Host), "pgbackup " + slackEscape(r.Runner)}
	if r.Policy != "" {
		about = append([]string{"policy " + slackEscape(r.Policy)}, about...)
	}
	blocks = append(blocks, slackBlock{Type: "context", Elements: []slackItem{{"mrkdwn", strings.Join(about, " · ")}}})
	return slackDocument{Text: title, Blocks: blocks}
}

func section(text string) slackBlock {
	return slackBlock{Type: "section", Text: &slackItem{"mrkdwn", text}}
}

func slackTitle(r Report) string {
	name := "*" + slackEscape(r.Job) + "*"
	lasted := time.Duration(r.Seconds * float64(time.Second)).Round(time.Second)
	switch r.Event {
	case job.OnStart:
		return fmt.Sprintf(":arrow_forward: %s (%s) begins", name, r.Kind)
	case job.OnSuccess:
		return fmt.Sprintf(":white_check_mark: %s (%s) is done, in %s", name, r.Kind, lasted)
	case job.OnWarning:
		return fmt.Sprintf(":warning: %s (%s) is done, with %d warnings, in %s", name, r.Kind, len(r.Warnings), lasted)
	}
	return fmt.Sprintf(":x: %s (%s) failed after %s: %s", name, r.Kind, lasted, r.Outcome)
}

func slackDetails(r Report) []string {
	var list []string
	for _, w := range r.Warnings[:min(len(r.Warnings), slackWarnings)] {
		list = append(list, "• "+slackEscape(shortened(w, slackText)))
	}
	if more := len(r.Warnings) - slackWarnings; more > 0 {
		list = append(list, fmt.Sprintf("• and %d more warnings", more))
	}
	for _, p := range r.Points[:min(len(r.Points), slackPoints)] {
		list = append(list, fmt.Sprintf("• %s: %s, %s stored", slackEscape(shortened(p.Source, 200)), slackEscape(p.ID), bytesize.Text(p.Stored)))
	}
	if more := len(r.Points) - slackPoints; more > 0 {
		list = append(list, fmt.Sprintf("• and %d more recovery points", more))
	}
	for _, d := range r.Drills[:min(len(r.Drills), slackPoints)] {
		list = append(list, "• "+slackDrill(d))
	}
	if more := len(r.Drills) - slackPoints; more > 0 {
		list = append(list, fmt.Sprintf("• and %d more drills", more))
	}
	if r.DeletedPoints > 0 {
		list = append(list, fmt.Sprintf("• %d old recovery points deleted, %s", r.DeletedPoints, bytesize.Text(r.DeletedBytes)))
	}
	return list
}

// slackDrill says what came of a drill.
func slackDrill(d Drill) string {
	words := map[string]string{"proven": "proven", "bad_backup": "*bad backup*", "could_not_run": "could not run"}[d.Outcome]
	text := fmt.Sprintf("%s: %s", slackEscape(shortened(d.Source, 200)), words)
	if d.Point != "" {
		text += ", " + slackEscape(d.Point)
	}
	if d.RTOSeconds > 0 {
		text += fmt.Sprintf(", restored in %s", time.Duration(d.RTOSeconds*float64(time.Second)).Round(time.Second))
	}
	if d.RTOKept != nil && !*d.RTOKept {
		text += ", longer than the objective"
	}
	return text
}

// slackEscape keeps names from becoming links or calling a channel.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
