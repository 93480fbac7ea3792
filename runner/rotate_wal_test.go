package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

func TestARotationTellsSinceWhenOneCanRecoverBeforeAndAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	from := func(day int) *rotate.Window {
		return &rotate.Window{From: time.Date(2026, 11, day, 2, 3, 0, 0, time.UTC), To: now.Add(-time.Minute)}
	}
	stopped := from(14)
	stopped.To = now.AddDate(0, 0, -2)
	for _, c := range []struct {
		name   string
		w      rotate.WAL
		dryRun bool
		want   string
	}{
		{"dry run", rotate.WAL{Before: from(14), After: from(16)}, true, "would delete 0 of 0 files (0 B), point-in-time recovery from 14 Nov 2026 02:03 UTC to now, after it from 16 Nov 2026 02:03 UTC."},
		{"done", rotate.WAL{Before: from(14), After: from(16)}, false, "deleted 0 of 0 files (0 B), point-in-time recovery from 16 Nov 2026 02:03 UTC to now, before it from 14 Nov 2026 02:03 UTC."},
		{"unchanged", rotate.WAL{Before: from(14), After: from(14)}, true, "point-in-time recovery from 14 Nov 2026 02:03 UTC to now."},
		{"an archive that stopped", rotate.WAL{Before: stopped, After: stopped}, true, "from 14 Nov 2026 02:03 UTC to 18 Nov 2026 12:00 UTC, the newest archived commit."},
		{"nothing", rotate.WAL{}, true, "no moment can be recovered to"},
		{"in doubt", rotate.WAL{Doubt: "there is no base backup of its server"}, true, "Nothing of it goes: there is no base backup of its server."},
		{"files", rotate.WAL{Before: from(14), After: from(14), Delete: rotate.WALFiles{Files: 3, Bytes: 4 << 20, Runs: []rotate.WALRun{{First: "A", Last: "C", Files: 3, Reason: "no base backup that stays needs it"}}}}, true, "A to C (3 files): no base backup that stays needs it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			a := &app{streams: streams{out: &out}, now: func() time.Time { return now }}
			c.w.Source, c.w.System = "db", "7"
			a.sayWAL([]rotate.WAL{c.w}, c.dryRun)
			if !strings.Contains(out.String(), c.want) || !strings.HasPrefix(out.String(), "WAL of db (system 7): ") {
				t.Errorf("%q lacks %q", out.String(), c.want)
			}
		})
	}
}
