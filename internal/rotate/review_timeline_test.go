package rotate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// listings is a repository of which only the listings are real: objects are laid
// down as of a moment, without the care and the content that real ones have.
type listings struct {
	*repo.Repository
	dir string
	t   testing.TB
}

func newListings(t testing.TB, root string) *listings {
	t.Helper()
	r := repositoryIn(t, root, true)
	return &listings{r, root, t}
}

func (f *listings) put(key, content string, when time.Time) {
	path := filepath.Join(f.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chtimes(path, when, when); err != nil {
		f.t.Fatal(err)
	}
}

// point is one that listings show, and when it went (zero: it is there).
func (f *listings) point(source string, start, committed, deleted time.Time) repo.Ref {
	ref := repo.Ref{Source: source, Kind: "logical", ID: repo.NewID(start)}
	if deleted.IsZero() {
		f.put(ref.ManifestKey(), "{}", committed)
	} else {
		stone, err := json.Marshal(repo.Tombstone{ID: ref.ID, Source: ref.Source, Kind: ref.Kind, Committed: committed})
		if err != nil {
			f.t.Fatal(err)
		}
		f.put(fmt.Sprintf("tombstones/%s/%s/%s.json", ref.Source, ref.Kind, ref.ID), string(stone), deleted)
	}
	return ref
}

func (f *listings) mark(ref repo.Ref, family string, number int, state string, when time.Time) {
	f.put(fmt.Sprintf("%s/%s/%s/%s/%06d-%s.json", family, ref.Source, ref.Kind, ref.ID, number, state), "{}", when)
}

func (f *listings) past(old *policy.Document, next policy.Document, when time.Time) *past {
	f.t.Helper()
	opts := ReviewOptions{Repo: f.Repository, Old: old, New: next, AsOf: when, Now: when}
	rules, err := opts.rules()
	if err != nil {
		f.t.Fatal(err)
	}
	p, err := readPast(f.t.Context(), opts, rules)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// lostAt is what the timeline says was lost as of a moment.
func lostAt(steps []step, at time.Time) impact.Set {
	current := map[int]impact.Set{}
	for _, s := range steps {
		if !s.at.After(at) {
			current[s.lane] = s.lost
		}
	}
	var total impact.Set
	for _, lost := range current {
		total.Add(lost)
	}
	return total
}

func TestTheTimelineSaysOfEachMomentWhatALookAtItSays(t *testing.T) {
	t.Parallel()
	place, n := folder(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		f, t := newListings(t, filepath.Join(place, fmt.Sprint(n))), rt
		second := func(label string) time.Time { // of the last eight days, often one that is taken
			return now.Add(-time.Duration(rapid.IntRange(0, 8*24).Draw(t, label)) * time.Hour)
		}
		for range rapid.IntRange(1, 15).Draw(t, "points") {
			source := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "source")
			start := anyStart(t, now, 45)
			if rapid.IntRange(0, 5).Draw(t, "future") == 0 {
				start = second("start").Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "ahead")) * time.Hour)
			}
			var deleted time.Time
			if rapid.Bool().Draw(t, "goes") {
				deleted = second("deleted")
			}
			took := time.Duration(rapid.IntRange(1, 30).Draw(t, "took")) * time.Hour
			ref := f.point(source, start, start.Add(took), deleted)
			for _, family := range []string{"holds", "condemned"} {
				keeps := map[string]string{"holds": "held", "condemned": "condemned"}[family]
				ends := map[string]string{"holds": "released", "condemned": "cleared"}[family]
				if rapid.IntRange(0, 3).Draw(t, family) > 0 {
					continue
				}
				when := second("marked")
				f.mark(ref, family, 1, keeps, when)
				if rapid.Bool().Draw(t, "ends") {
					f.mark(ref, family, 2, ends, when.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "for"))*time.Hour))
				}
			}
		}
		old, next := anyPolicy(t, "old"), anyPolicy(t, "new")
		if rapid.Bool().Draw(t, "by months") {
			next.Retention = retention.Keep{KeepLast: 10}
			next.Storage.ExpireAfter = duration.MustParse(rapid.SampledFrom([]string{"1mo", "1mo5d"}).Draw(t, "ceiling"))
		}
		p := f.past(&old, next, now)
		line := timeline{past: p, from: now.Add(-impact.ApprovalLife), to: now, lanes: p.history.Lanes()}
		if rapid.Bool().Draw(t, "with tombstones") {
			if err := p.readStones(f.t.Context(), p.history.DeletedAfter(line.from)); err != nil {
				t.Fatal(err)
			}
		}
		steps, err := line.steps(f.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			at := now.Add(-time.Duration(rapid.Int64Range(0, int64(impact.ApprovalLife)).Draw(t, "looked at")))
			if rapid.Bool().Draw(t, "on the hour") {
				at = at.Truncate(time.Hour)
			}
			if at.Before(line.from) {
				continue
			}
			if got, want := lostAt(steps, at), p.judge(p.at(at), at).lost; got != want {
				t.Fatalf("as of %s the timeline has %d points lost, a look at it %d", at, got.Len(), want.Len())
			}
		}
	})
}

// BenchmarkReviewChange reviews a shortened policy over 100 sources with a point a
// night for a year, read from a directory in memory where there is one.
func BenchmarkReviewChange(b *testing.B) {
	f := newListings(b, filepath.Join(folder(b), "repo"))
	for s := range 100 {
		for d := range 365 {
			start := now.AddDate(0, 0, -d).Add(-time.Duration(s) * time.Minute)
			f.point(fmt.Sprintf("app%03d", s), start, start.Add(time.Minute), time.Time{})
		}
	}
	old, next := doc(retention.Keep{KeepDaily: 400}), doc(retention.Keep{KeepDaily: 400, KeepWeekly: 12})
	for b.Loop() {
		if _, err := ReviewChange(b.Context(), ReviewOptions{Repo: f.Repository, Old: &old, New: next, Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApproves walks the 20,000 backups and deletions of a week over 200
// sources, hourly ones that are kept for three days. The code is of the loss of
// half a week ago.
func BenchmarkApproves(b *testing.B) {
	f := newListings(b, filepath.Join(folder(b), "repo"))
	const sources, hours = 200, 24 * 12
	for s := range sources {
		source := fmt.Sprintf("app%03d", s)
		for h := range hours {
			start := now.Add(-time.Duration(h)*time.Hour - time.Duration(s)*time.Second)
			var deleted time.Time
			if age := now.Sub(start); age > 72*time.Hour+time.Hour {
				deleted = start.Add(72*time.Hour + time.Minute)
			}
			if h%3 == 0 { // 96 of each source: 56 come and 56 go within the week
				f.point(source, start, start.Add(time.Minute), deleted)
			}
		}
	}
	old, next := doc(retention.Keep{KeepWithin: duration.MustParse("3d")}), doc(retention.Keep{KeepWithin: duration.MustParse("1d")})
	p := f.past(&old, next, now)
	half := now.Add(-84 * time.Hour)
	code := p.rules.code(p.judge(p.at(half), half).lost)
	events := len(p.history.Moments(now.Add(-impact.ApprovalLife), now))
	for b.Loop() {
		if _, ok := approves(b, &Review{past: p}, code); !ok {
			b.Fatal("it is not found")
		}
	}
	b.ReportMetric(float64(events), "events")
}
