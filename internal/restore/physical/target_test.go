package physical_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// chronicle is a server with a base backup, and marks before and after it.
type chronicle struct {
	*protected
	before, first mark
	marks         []mark // 3 to 7, after the base backup
	name          string // of a restore point behind mark 4
}

func write(t *testing.T) chronicle {
	t.Helper()
	c := chronicle{protected: protect(t, testenv.PostgresOptions{})}
	c.Exec(t, "postgres", ledger)
	c.before = c.mark(t, 1)
	c.switched(t)
	c.backup(t)
	c.first = c.mark(t, 2)
	for id := 3; id <= 7; id++ {
		c.marks = append(c.marks, c.mark(t, id))
		if id == 4 {
			c.Exec(t, "postgres", "SELECT pg_create_restore_point('release')")
			c.name = "release"
		}
		if id == 5 {
			c.switched(t)
		}
	}
	c.switched(t)
	return c
}

func TestAServerIsRecoveredToExactlyItsTarget(t *testing.T) {
	t.Parallel()
	c := write(t)
	at := c.marks[1] // id 4
	for name, x := range map[string]struct {
		target archive.Target
		action string
		want   string
		state  string
	}{
		"time":                {archive.Target{Time: at.at, Inclusive: true}, physical.Promote, "1 2 3 4", "promoted"},
		"position":            {archive.Target{LSN: at.lsn, Inclusive: false}, physical.Pause, "1 2 3 4", "paused"},
		"transaction":         {archive.Target{XID: at.xid, Inclusive: true}, physical.Promote, "1 2 3 4", "promoted"},
		"before transaction":  {archive.Target{XID: at.xid, Inclusive: false}, physical.Promote, "1 2 3", "promoted"},
		"name":                {archive.Target{Name: c.name, Inclusive: true}, physical.Pause, "1 2 3 4", "paused"},
		"immediate":           {archive.Target{Immediate: true, Inclusive: true}, physical.Promote, "1", "promoted"},
		"all there is":        {archive.Target{Latest: true, Inclusive: true}, "", "1 2 3 4 5 6 7", "promoted"},
		"time, and shut down": {archive.Target{Time: c.marks[2].at, Inclusive: true}, physical.Shutdown, "1 2 3 4 5", "shut down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := c.options(t, filepath.Join(folder(t), "data"))
			o.Target, o.Action, o.Start = x.target, x.action, true
			result := c.run(t, o)
			r := result.Reached
			if r == nil || r.State != x.state || r.LSN < result.Window.FromLSN {
				t.Fatalf("%+v", r)
			}
			if r.State == "promoted" != (r.Timeline == 2) {
				t.Errorf("on timeline %s", r.Timeline)
			}
			if !x.target.Time.IsZero() && (r.Time.After(x.target.Time) || x.target.Time.Sub(r.Time) > time.Second) {
				t.Errorf("reached %s, not %s", r.Time, x.target.Time)
			}
			if result.Started == (x.action == physical.Shutdown) {
				t.Errorf("started: %v", result.Started)
			}
			if !result.Started { // then it comes to the same end each time it is started
				return
			}
			if got := c.rows(t, o); got != x.want {
				t.Errorf("the ledger has %s, not %s (%+v)", got, x.want, r)
			}
			var recovering bool
			c.askRestored(t, o, "SELECT pg_is_in_recovery()", &recovering)
			if recovering != (x.state == "paused") {
				t.Errorf("in recovery: %v", recovering)
			}
		})
	}
}

func TestWhatCanNotBeReachedIsRefusedWithTheWindowBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	c := write(t)
	// A gap: a segment that is lost, and more after it.
	inGap := func() mark {
		var name string
		c.ask(t, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())", &name)
		c.mu.Lock()
		c.lose[name] = true
		c.mu.Unlock()
		m := c.mark(t, 8)
		c.switched(t)
		c.mark(t, 9)
		c.switched(t)
		return m
	}()
	for name, x := range map[string]struct {
		target archive.Target
		says   string
	}{
		"before the oldest":       {archive.Target{Time: c.before.at.Add(-time.Hour), Inclusive: true}, "oldest base backup"},
		"a position before it":    {archive.Target{LSN: pgwal.LSN(1 << 20), Inclusive: true}, "oldest base backup"},
		"inside of a gap":         {archive.Target{Time: inGap.at, Inclusive: true}, "missing"},
		"a position in a gap":     {archive.Target{LSN: inGap.lsn, Inclusive: true}, "missing"},
		"after the newest":        {archive.Target{Time: time.Now().Add(time.Hour), Inclusive: true}, "missing"},
		"on a timeline not there": {archive.Target{Latest: true, Inclusive: true, Timeline: 7}, "timeline 00000007"},
	} {
		o := c.options(t, filepath.Join(folder(t), "data"))
		o.Target = x.target
		_, err := physical.Run(t.Context(), o)
		unreachable := (*archive.Unreachable)(nil)
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && x.target.Timeline == 0 && !strings.Contains(err.Error(), "Recoverable on timeline 00000001: ") {
			t.Errorf("%s: no window: %v", name, err)
		}
		if names, _ := filepath.Glob(o.Directory + "*"); len(names) > 0 {
			t.Errorf("%s: made: %v", name, names)
		}
	}
	// What is before the gap is there all the same.
	o := c.options(t, filepath.Join(folder(t), "data"))
	o.Target, o.Start = archive.Target{Time: c.marks[3].at, Inclusive: true}, true
	c.run(t, o)
	if got := c.rows(t, o); got != "1 2 3 4 5 6" {
		t.Error(got)
	}
}
