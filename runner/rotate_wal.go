package main

import (
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

// sayWAL tells what a rotation does, or did, to archived WAL, and what one can recover
// to before and after it.
func (a *app) sayWAL(all []rotate.WAL, dryRun bool) {
	did := "deleted"
	if dryRun {
		did = "would delete"
	}
	for _, w := range all {
		files := w.Keep.Files + w.Delete.Files
		a.say("WAL of %s (system %s): %s %d of %d files (%s), %s.", w.Source, w.System, did, w.Delete.Files, files, size(w.Delete.Bytes), a.recoveryText(w, dryRun))
		if w.Doubt != "" {
			a.say("  Nothing of it goes: %s.", w.Doubt)
		}
		for _, run := range w.Delete.Runs[:min(len(w.Delete.Runs), maxWALRuns)] {
			a.say("  %s to %s (%s): %s", run.First, run.Last, plural(int64(run.Files), "file"), run.Reason)
		}
		if more := len(w.Delete.Runs) - maxWALRuns; more > 0 {
			a.say("  and %d more runs of files; --json lists them", more)
		}
	}
}

// maxWALRuns is how many runs of files are listed one by one.
const maxWALRuns = 5

// recoveryText is "point-in-time recovery from 14 Nov 2026 02:03 to now, after it from 16
// Nov 2026 02:03".
func (a *app) recoveryText(w rotate.WAL, dryRun bool) string {
	if w.Before == nil {
		return "no moment can be recovered to: no base backup leads to the newest archived WAL"
	}
	text := fmt.Sprintf("point-in-time recovery from %s to %s", minuteText(w.Before.From), a.newestText(w.Before.To))
	switch {
	case w.After == nil:
		return text + " before, and no more after"
	case w.After.From.Equal(w.Before.From):
		return text
	case dryRun:
		return text + ", after it from " + minuteText(w.After.From)
	}
	return fmt.Sprintf("point-in-time recovery from %s to %s, before it from %s", minuteText(w.After.From), a.newestText(w.After.To), minuteText(w.Before.From))
}

// newestText is now for an archive that is kept up.
func (a *app) newestText(t time.Time) string {
	if a.now().Sub(t) < time.Hour {
		return "now"
	}
	return minuteText(t) + ", the newest archived commit"
}

func minuteText(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }
