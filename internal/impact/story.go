package impact

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// maxRows bounds the table of a story: twenty rows are read, two hundred are
// scrolled past.
const maxRows = 20

// Story is the whole text of the error that stops a plan with a loss. Terraform
// shows nothing else of a resource whose plan failed, so all that a person needs
// to decide is in here, and what to write to agree. Lines that begin with spaces
// are printed by Terraform as they are, the others are wrapped. repository is its
// URL, for the commands that look further.
func Story(repository, policyName string, i Impact, code string) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("%s Nothing was changed yet.", i.headline(policyName))
	if table := i.table(); table != "" { // a loss of WAL alone has none
		b.WriteString("\n" + table)
	}
	section(&b, "What changes, and what it means:", i.Sentences)
	section(&b, "What would be lost, the oldest first:", i.named())
	b.WriteString("\n")
	say("Whoever may change this configuration may agree to it. To agree to exactly this loss, write into the policy and plan again:")
	b.WriteString("\n")
	say("  approve_expiry = %q", code)
	b.WriteString("\n")
	say("%s", i.codeCounts(code)+"The code is good for "+span(ApprovalLife)+", for this change and this loss only. Backups and rotations that run in the meantime do not void it. "+
		"Applying writes the new revision of the policy and deletes nothing by itself: the next rotation does, and that cannot be taken back unless a bucket keeps the versions.")
	b.WriteString("\n")
	say("To look at every point, or to keep one whatever the rules say (its place in the rules is then free for another):")
	b.WriteString("\n")
	at := "--repository '" + strings.ReplaceAll(repository, "'", "'\\''") + "'"
	if flags := i.flags(); flags != "" {
		say("  pgbackup-runner rotate --dry-run %s --policy %s%s", at, policyName, flags)
	} else { // what changes can not be given as flags
		say("  pgbackup-runner list %s", at)
	}
	say("  pgbackup-runner hold ID %s", at)
	return b.String()
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "  - %s\n", line)
	}
}

// table lists what each source and kind loses, those that lose most first.
func (i Impact) table() string {
	rows := i.losing()
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "  source\tkind\tpoints\tlost\tbytes\toldest\tlargest gap")
	for _, g := range rows[:min(len(rows), maxRows)] {
		fmt.Fprintf(w, "  %s\t%s\t%d -> %d\t%d\t%s\t%s -> %s\t%s -> %s\n",
			g.Source, g.Kind, g.Before, g.After, g.Lost, sizeOf(g.LostBytes, g.Lost, g.Unsized),
			i.day(g.OldestBefore), i.day(g.OldestAfter), gap(g.GapBefore), gap(g.GapAfter))
	}
	_ = w.Flush() // into memory
	if more := len(rows) - maxRows; more > 0 {
		lost := 0
		for _, g := range rows[maxRows:] {
			lost += g.Lost
		}
		fmt.Fprintf(&b, "  and %d more that lose %s\n", more, points(lost))
	}
	return b.String()
}

// losing gives the groups that lose points, the largest loss first.
func (i Impact) losing() []Group {
	rows := slices.DeleteFunc(slices.Clone(i.Groups), func(g Group) bool { return g.Lost == 0 })
	slices.SortStableFunc(rows, func(a, b Group) int { return cmp.Compare(b.Lost, a.Lost) })
	return rows
}

func (i Impact) headline(policyName string) string {
	what := "recovery points"
	if i.Shortened > 0 {
		if what = "WAL"; i.Points > 0 {
			what = "recovery points and WAL"
		}
	}
	text := fmt.Sprintf("The new rules of policy %q delete %s that the rules before would keep: ", policyName, what)
	if i.First {
		text = fmt.Sprintf("The rules of policy %q, which is new here, delete %s: ", policyName, what)
	}
	switch {
	case i.Shortened > 0:
		text += fmt.Sprintf("%s, as things stood on %s.", i.Total(), i.AsOf.UTC().Format(dateForm+" 15:04 UTC"))
	case i.Points > 0:
		text += fmt.Sprintf("%s (%s), as things stood on %s.", points(i.Points), sizeOf(i.Bytes, i.Points, i.Unsized), i.AsOf.UTC().Format(dateForm+" 15:04 UTC"))
	default:
		text += fmt.Sprintf("none at once, as things stood on %s.", i.AsOf.UTC().Format(dateForm+" 15:04 UTC"))
	}
	if i.Waiting > 0 {
		more := ""
		if i.Points > 0 {
			more = " more"
		}
		text += fmt.Sprintf(" %d%s %s as soon as what keeps %s now is put right.", i.Waiting, more, agree(i.Waiting, "goes", "go"), agree(i.Waiting, "it", "them"))
	}
	return text
}

// codeCounts explains a code whose number is not that of the lost points.
func (i Impact) codeCounts(code string) string {
	n, _, err := ParseCode(code)
	if err != nil || n == i.Points {
		return ""
	}
	if i.Shortened > 0 && n == i.Points+i.Shortened {
		return fmt.Sprintf("The code counts %d: %s, and %s whose recovery to any moment begins later. ", n, points(i.Points), count(i.Shortened, "server", "servers"))
	}
	return fmt.Sprintf("The code counts %d: every point that the rules alone would delete, also those that stay for the reasons above. ", n)
}

// named lists the lost points by name.
func (i Impact) named() []string {
	lines := slices.Clone(i.Lost)
	if more := i.Points - len(lines); more > 0 && len(lines) > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// flags writes the changed keep rules as the flags of the runner, which put them
// over the policy as it is stored.
func (i Impact) flags() string {
	var b strings.Builder
	for _, ch := range i.Changes {
		if _, ok := periodOf(ch.Field); !ok {
			continue
		}
		name := strings.ReplaceAll(ch.Field, "_", "-")
		if !strings.HasPrefix(name, "keep-") {
			name = "keep-" + name
		}
		value := ch.After
		if value == "none" {
			value = "0"
			if fieldOf(retention.Keep{}, ch.Field).Span != nil {
				value = "0s"
			}
		}
		fmt.Fprintf(&b, " --%s %s", name, value)
	}
	return b.String()
}

// day writes a day in a table, in the time zone of the policy.
func (i Impact) day(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	loc, err := timezone.Load(i.Timezone)
	if err != nil {
		loc = time.UTC
	}
	return t.In(loc).Format(time.DateOnly)
}

// gap writes the longest gap in a table; with fewer than two points there is none.
func gap(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return span(d)
}
