package retention_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// anyWALRules are rules with and without a window.
func anyWALRules(t *rapid.T) retention.Rules {
	var k retention.Keep
	if rapid.IntRange(0, 3).Draw(t, "with a window") > 0 {
		k.WAL = duration.MustParse(rapid.SampledFrom([]string{"1h", "1d", "7d", "1mo"}).Draw(t, "wal"))
	}
	k.KeepLast = max(0, rapid.IntRange(-1, 3).Draw(t, "last"))
	k.KeepWeekly = max(0, rapid.IntRange(-1, 3).Draw(t, "weekly"))
	if k.IsZero() {
		k.KeepLast = 1
	}
	rules := retention.Rules{Keep: k}
	if rapid.IntRange(0, 4).Draw(t, "with a ceiling") == 0 {
		rules.ExpireAfter = duration.MustParse("2mo")
	}
	return rules
}

// walProperty is what retention promises of WAL, of any history of a server.
func walProperty(t *rapid.T) {
	m := newServerModel("7")
	var running func() baseModel
	for range rapid.IntRange(1, 4).Draw(t, "rotations") {
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			m.happen(t)
		}
		if rapid.Bool().Draw(t, "a base backup is running") {
			running = m.begin()
		}
		rules := anyWALRules(t)
		r := m.decide(rules)
		checkRotation(t, m, rules, r)
		steps := allSteps
		if all := len(r.plan.Delete) + len(r.wal.Deletions()); all > 0 && rapid.Bool().Draw(t, "killed") {
			steps = rapid.IntRange(0, all-1).Draw(t, "after")
		}
		before := m.clone()
		m.carryOut(r, steps)
		checkKept(t, before, m, rules, r)
		if steps == allSteps {
			if again := m.decide(rules); len(again.plan.Delete) > 0 && rules.WAL.IsZero() {
				t.Fatalf("a second rotation deletes %d more base backups", len(again.plan.Delete))
			}
		}
		if running != nil {
			m.write(rapid.IntRange(1, 3).Draw(t, "until the base backup ends"), time.Hour, func() bool { return false })
			if b := running(); !m.has(m.path(b.StartLSN, b.Timeline, uint64(b.StopLSN-1)/segmentSize-1)) {
				t.Fatalf("a base backup that ran meanwhile lacks WAL from its start %s", b.StartLSN)
			}
			m.write(1, time.Minute, func() bool { return false })
			running = nil
		}
	}
}

func (m *serverModel) clone() *serverModel {
	c := *m
	c.bases = append([]baseModel(nil), m.bases...)
	c.lines = cloneLines(m.lines)
	return &c
}

func cloneLines(lines map[pgwal.Timeline]*lineModel) map[pgwal.Timeline]*lineModel {
	all := map[pgwal.Timeline]*lineModel{}
	for t, l := range lines {
		c := *l
		c.files = map[uint64]time.Time{}
		for n, at := range l.files {
			c.files[n] = at
		}
		all[t] = &c
	}
	return all
}

// checkRotation looks at the decision alone.
func checkRotation(t *rapid.T, m *serverModel, rules retention.Rules, r rotation) {
	if len(m.bases) == 0 && len(r.wal.Deletions()) > 0 {
		t.Fatal("WAL goes although there is no base backup")
	}
	seen := map[int]bool{}
	for _, i := range r.wal.Deletions() {
		if r.wal.Keeps(i) || seen[i] {
			t.Fatalf("%v is deleted and kept, or twice", r.segments[i])
		}
		seen[i] = true
	}
	for i := range r.segments {
		if r.wal.Keeps(i) == seen[i] || r.wal.Reason(i) == "" {
			t.Fatalf("%v neither goes nor stays with a reason", r.segments[i])
		}
	}
	// WAL that a slow look says no base backup could use must not pile up, where
	// everything is known and nothing is in doubt.
	if rules.WAL.IsZero() || len(r.input.Bases) == 0 {
		return
	}
	oldest := r.input.Bases[0].Start
	for _, b := range r.input.Bases {
		oldest = min(oldest, b.Start)
	}
	for _, l := range r.input.Lines {
		if !l.Known {
			return
		}
	}
	good := false
	for _, b := range r.input.Bases {
		good = good || b.Window != ""
	}
	for i, s := range r.segments {
		if good && s.Number < uint64(oldest)/segmentSize && r.wal.Keeps(i) && s.Timeline <= r.input.Bases[0].Timeline {
			t.Fatalf("%v stays (%s), which is older than every base backup", s, r.wal.Reason(i))
		}
	}
}

// checkKept holds what there was before a rotation, or part of one, against what is
// there after it.
func checkKept(t *rapid.T, before, after *serverModel, rules retention.Rules, r rotation) {
	checkAlive(t, before, after)
	for _, b := range after.bases {
		if before.consistent(b) && !after.consistent(b) {
			t.Fatalf("base backup %s stays and lost WAL that makes it consistent", b.ID)
		}
	}
	windows := map[string]bool{}
	for _, b := range r.input.Bases {
		windows[b.ID] = b.Window != ""
	}
	now := after.reachable(func(baseModel) bool { return true })
	for at := range before.reachable(func(b baseModel) bool { return windows[b.ID] }) {
		if !now[at] {
			t.Fatalf("%v could be recovered to from a base backup whose WAL all stays, and can not any more", at)
		}
	}
	if rules.WAL.IsZero() {
		return
	}
	bound := rules.WAL.SubtractFrom(before.newest(), time.UTC)
	counts := func(b baseModel) bool {
		// What is beyond the ceiling, or set aside, no rule decides about.
		return !b.Held && (rules.ExpireAfter.IsZero() || !b.Start.Before(rules.ExpireAfter.SubtractFrom(before.now, time.UTC)))
	}
	for at := range before.reachable(counts) {
		if !at.at.Before(bound) && !now[at] {
			t.Fatalf("%v lies in the window, which begins %s, and was lost", at, bound)
		}
	}
}

func TestEveryMomentOfTheWindowAndEveryBaseBackupThatStaysCanBeRecovered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, walProperty)
}

func FuzzWALRetention(f *testing.F) { f.Fuzz(rapid.MakeFuzz(walProperty)) }
