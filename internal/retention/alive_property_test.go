package retention_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// checkAlive: where a base backup led to the newest moment of an archive that goes on,
// one still does.
func checkAlive(t *rapid.T, before, after *serverModel) {
	end, is := before.end()
	if is && before.leadsTo(end) && !after.leadsTo(end) {
		t.Fatalf("no base backup of server %s leads to the end of timeline %d any more", before.system, before.current)
	}
}

// newestBase is when the newest good base backup began.
func (m *serverModel) newestBase() (newest time.Time) {
	for _, b := range m.bases {
		if !b.Condemned && b.Start.After(newest) {
			newest = b.Start
		}
	}
	return newest
}

// sharedProperty is what retention promises of two servers that share a source.
func sharedProperty(t *rapid.T) {
	servers := []*serverModel{newServerModel("7"), newServerModel("8")}
	for range rapid.IntRange(1, 4).Draw(t, "rotations") {
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			n := rapid.IntRange(0, 1).Draw(t, "of server")
			servers[n].happen(t)
			servers[1-n].now = servers[n].now
		}
		rotations := decideAll(anyWALRules(t), servers...)
		before := []*serverModel{servers[0].clone(), servers[1].clone()}
		for i, m := range servers {
			steps := allSteps
			if rapid.Bool().Draw(t, "killed") {
				steps = rapid.IntRange(0, len(rotations[i].plan.Delete)+len(rotations[i].wal.Deletions())).Draw(t, "after")
			}
			m.carryOut(rotations[i], steps)
		}
		for i, m := range servers {
			// One that got nothing for a week before the other's base backup has ended.
			if !before[i].newest().Before(before[1-i].newestBase().AddDate(0, 0, -7)) {
				checkAlive(t, before[i], m)
			}
		}
	}
}

func TestServersThatShareASourceTakeNothingOfEachOtherThatIsStillNeeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, sharedProperty)
}
