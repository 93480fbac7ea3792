package drill

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// baseOf has windows from and to so many minutes after noon.
func baseOf(n int, windows ...archive.Window) archive.Base {
	return archive.Base{Ref: repo.Ref{Source: source, Kind: "physical", ID: fmt.Sprintf("base%04d", n)}, Windows: windows}
}

func minutes(timeline pgwal.Timeline, from, to int) archive.Window {
	return archive.Window{Timeline: timeline, From: noon.Add(time.Duration(from) * time.Minute), To: noon.Add(time.Duration(to) * time.Minute)}
}

func drawBases(t *rapid.T) []archive.Base {
	var bases []archive.Base
	for n := range rapid.IntRange(0, 6).Draw(t, "bases") {
		from := rapid.IntRange(0, 100).Draw(t, "from")
		b := baseOf(n, minutes(pgwal.Timeline(rapid.IntRange(1, 2).Draw(t, "timeline")), from, from+rapid.IntRange(0, 40).Draw(t, "length")))
		if rapid.IntRange(0, 4).Draw(t, "problem") == 0 {
			b.Problem = "it was found bad"
		}
		bases = append(bases, b)
	}
	return bases
}

// What is picked can be recovered to, from a base backup that is good, and the same
// seed picks the same whatever order the bases come in.
func TestAMomentIsAlwaysOneThatItsBaseBackupReaches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bases := drawBases(t)
		chosen := rapid.SampledFrom([]string{job.DrillLatest, job.DrillOldest, job.DrillRandom}).Draw(t, "chosen")
		seed := rapid.Int64Min(1).Draw(t, "seed")
		m, ok := pickMoment(bases, 2, chosen, seed)
		reach := reachable(bases, 2)
		if ok != (len(reach) > 0) {
			t.Fatalf("%v of %d windows", ok, len(reach))
		}
		if !ok {
			return
		}
		if m.base.Problem != "" || m.target.Timeline != m.window.Timeline {
			t.Fatalf("%+v", m)
		}
		switch {
		case m.target.Latest:
			for _, r := range reach {
				if chosen != job.DrillLatest || r.window.To.After(m.window.To) {
					t.Fatalf("%v is later than %v", r.window.To, m.window.To)
				}
			}
		case m.target.Immediate:
			if m.window.From.Before(m.window.To) {
				t.Fatalf("%v to %v has moments", m.window.From, m.window.To)
			}
		default:
			if !m.target.Time.Equal(m.at) || m.at.Before(m.window.From) || !m.at.Before(m.window.To) {
				t.Fatalf("%v is not within %v to %v", m.at, m.window.From, m.window.To)
			}
			for _, r := range reach { // a newer base backup would be the one to take
				if chosen == job.DrillRandom && r.window.From.After(m.window.From) && !r.window.From.After(m.at) && m.at.Before(r.window.To) {
					t.Fatalf("%s reaches %v too, and %s was taken", r.base.Ref.ID, m.at, m.base.Ref.ID)
				}
			}
		}
		again, _ := pickMoment(rapid.Permutation(bases).Draw(t, "order"), 2, chosen, seed)
		if again.base.Ref != m.base.Ref || !again.at.Equal(m.at) {
			t.Fatalf("%v of %s, then %v of %s", m.at, m.base.Ref.ID, again.at, again.base.Ref.ID)
		}
	})
}

func TestEveryPartOfAWindowWithAGapIsDrilledSometimes(t *testing.T) {
	t.Parallel()
	bases := []archive.Base{baseOf(1, minutes(1, 0, 10)), baseOf(2, minutes(1, 5, 10)), baseOf(3, minutes(1, 20, 30)), baseOf(4, minutes(2, 25, 40))}
	parts := map[int]int{}
	for seed := range int64(4000) {
		m, ok := pickMoment(bases, 1, job.DrillRandom, seed+1)
		if !ok {
			t.Fatal("nothing was picked")
		}
		parts[int(m.at.Sub(noon).Minutes())/5]++
	}
	for _, part := range []int{0, 1, 4, 5} {
		if parts[part] < 800 || parts[part] > 1200 {
			t.Errorf("%d of 4000 are from minute %d to %d", parts[part], part*5, part*5+5)
		}
	}
	if len(parts) != 4 {
		t.Errorf("moments of no window, or of the timeline that was left: %v", parts)
	}
}

// told notes what a judgement says.
type told struct{ few, wrongs, warns int }

func (t *told) tooFew(string, ...any) { t.few++ }
func (t *told) wrong(string, ...any)  { t.wrongs++ }
func (t *told) warn(string, ...any)   { t.warns++ }

func TestAMomentIsProvenByWhatTheServerKnows(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }
	never := time.Time{}
	for name, c := range map[string]struct {
		target, heartbeat, commit time.Time
		every                     float64
		achieved                  time.Time
		by                        string
		want                      told
	}{
		"a heartbeat in time":                     {at(0), at(-8), at(-1), 10, at(-8), "heartbeat", told{}},
		"one that is hardly late":                 {at(0), at(-14), at(-13), 10, at(-14), "heartbeat", told{}},
		"no heartbeat":                            {at(0), never, at(-1), 0, at(-1), "commit", told{}},
		"nobody wrote, and no heartbeat":          {at(0), never, never, 0, never, "", told{}},
		"an idle server without a heartbeat":      {at(0), never, at(-9000), 0, at(-9000), "commit", told{}},
		"a receiver that was away":                {at(0), at(-600), at(-1), 10, at(-1), "commit", told{warns: 1}},
		"a receiver that was away, and all else":  {at(0), at(-600), at(-600), 10, at(-600), "heartbeat", told{warns: 1}},
		"a heartbeat of later":                    {at(0), at(2), at(-1), 10, at(2), "heartbeat", told{wrongs: 1}},
		"a commit of later":                       {at(0), at(-1), at(1.001), 10, at(-1), "heartbeat", told{wrongs: 1}},
		"a clock that was set back":               {at(0), at(0.5), at(-1), 10, at(0.5), "heartbeat", told{}},
		"all there is":                            {never, at(58), at(60), 10, at(58), "heartbeat", told{}},
		"all there is, without a heartbeat":       {never, never, at(60), 0, at(60), "commit", told{}},
		"less than there is":                      {never, at(48), at(50), 10, at(48), "heartbeat", told{few: 1}},
		"less than there is, and nothing to tell": {never, never, never, 0, never, "", told{few: 1}},
	} {
		rec := drillreport.Recovery{Target: c.target, From: at(-3600), To: at(60), Heartbeat: c.heartbeat, Every: c.every, Commit: c.commit}
		var got told
		judgeMoment(&rec, &got)
		if got != c.want || !rec.Achieved.Equal(c.achieved) || rec.By != c.by {
			t.Errorf("%s: %+v, %v by %q", name, got, rec.Achieved, rec.By)
		}
	}
}
