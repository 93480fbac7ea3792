package rotate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// daysAndWAL keeps so many days and a window.
func daysAndWAL(days int, window string) policy.Document {
	k := retention.Keep{KeepDaily: days}
	if window != "" {
		k.WAL = duration.MustParse(window)
	}
	return doc(k)
}

func TestAShorterWindowIsALossAlsoWhenEveryRecoveryPointStays(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(10, "prod")
	old, next := daysAndWAL(10, "8d"), daysAndWAL(10, "3d")
	r := s.review(&old, next, now, now)
	if r.Live.Points != 0 || r.Live.Shortened != 1 || r.Live.ToApprove() != 1 || !strings.HasPrefix(r.Code, "EXPIRE-1-") {
		t.Fatalf("%q, %+v", r.Code, r.Live)
	}
	w := r.Live.Windows[0]
	if !w.Lost || !w.Before.Equal(now.AddDate(0, 0, -8).Add(-9*time.Hour)) || !w.After.Equal(now.AddDate(0, 0, -3).Add(-9*time.Hour)) {
		t.Errorf("%+v", w)
	}
	for _, c := range []struct {
		rules policy.Document
		want  time.Time
	}{{old, w.Before}, {next, w.After}} {
		out, err := Plan(t.Context(), s.under(c.rules, now))
		if err != nil || !walOf(t, out).After.From.Equal(c.want) {
			t.Errorf("a rotation leaves %+v, want from %s (%v)", walOf(t, out).After, c.want, err)
		}
	}
	story := impact.Story("file:///r", "prod", r.Live, r.Code)
	for _, want := range []string{
		"delete WAL that the rules before would keep: 5 days of point-in-time recovery of db",
		"point-in-time recovery of db is possible from 12 March 2026 03:00 to now; under the new rules from 17 March 2026 03:00 to now: the WAL before goes",
		"no recovery point is deleted because of this change",
		"The code counts 1: 0 recovery points, and 1 server whose recovery to any moment begins later.",
	} {
		if !strings.Contains(strings.Join(strings.Fields(story), " "), want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
	if _, ok := approves(t, r, r.Code); !ok {
		t.Error("its own code is refused")
	}
	if _, ok := approves(t, s.review(&old, daysAndWAL(10, "2d"), now, now), r.Code); ok {
		t.Error("the code of another loss is accepted")
	}
}

func TestALongerOrEqualWindowLosesNothing(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(10, "prod")
	for name, c := range map[string][2]policy.Document{
		"longer":         {daysAndWAL(10, "3d"), daysAndWAL(10, "8d")},
		"equal":          {daysAndWAL(10, "3d"), daysAndWAL(9, "72h")},
		"no rule at all": {daysAndWAL(10, "3d"), daysAndWAL(10, "")},
	} {
		r := s.review(&c[0], c[1], now, now)
		if r.Live.Shortened != 0 || r.Live.Points == 0 && r.Code != "" {
			t.Errorf("%s: %q, %+v", name, r.Code, r.Live.Windows)
		}
	}
	// Without the rule all WAL since the oldest base backup stays; the rule then is a loss.
	old := daysAndWAL(10, "")
	if r := s.review(&old, daysAndWAL(10, "3d"), now, now); r.Live.Shortened != 1 || r.Code == "" {
		t.Errorf("%q, %+v", r.Code, r.Live.Windows)
	}
	if r := s.review(nil, daysAndWAL(20, "3d"), now, now); r.Live.Shortened != 1 || r.Code == "" {
		t.Errorf("a first policy: %q, %+v", r.Code, r.Live.Windows)
	}
}

func TestASourceWithoutAnArchiveHasNoWindow(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 5)
	old := daysAndWAL(10, "8d")
	if r := f.review(&old, daysAndWAL(10, "3d"), now, now); len(r.Live.Windows) != 0 || r.Code != "" {
		t.Errorf("%q, %+v", r.Code, r.Live)
	}
}

func TestAWindowThatAnotherPolicyKeepsIsNoLoss(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	dev := daysAndWAL(30, "30d")
	dev.Name = "dev"
	if _, err := s.PutPolicyRevision(t.Context(), 0, dev, policy.Envelope{At: now.AddDate(0, 0, -20)}); err != nil {
		t.Fatal(err)
	}
	s.at(now.AddDate(0, 0, -20))
	s.days(10, "dev")
	s.base(now.Add(-30*time.Minute), "prod")
	s.at(now.Add(-time.Minute))
	old := daysAndWAL(10, "8d")
	r := s.review(&old, daysAndWAL(10, "3d"), now, now)
	if r.Live.Shortened != 0 || r.Live.ToApprove() != 0 || !strings.Contains(strings.Join(r.Live.Sentences, "\n"), "policy dev, which made a base backup, keeps it") {
		t.Errorf("%+v", r.Live)
	}
}

func TestTheLossOfAWindowIsToldTheSameAfterTheRotationThatDidIt(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(10, "prod")
	old, next := daysAndWAL(5, "8d"), daysAndWAL(5, "3d")
	asOf := now.Add(-90 * time.Minute) // something was archived since
	r := s.review(&old, next, asOf, now)
	if r.Frozen.Shortened != 1 || r.Frozen.Points == 0 {
		t.Fatalf("%+v", r.Frozen)
	}
	when := now.Add(2 * time.Hour)
	s.segment(when)
	s.rotated(next, when)
	when = when.Add(14 * time.Hour)
	s.base(when, "prod")
	s.at(when)
	later := s.review(&old, next, asOf, when.Add(3*time.Hour))
	if diff := cmp.Diff(r.Frozen, later.Frozen); diff != "" {
		t.Errorf("after the rotation (-before +after):\n%s", diff)
	}
	if _, ok := approves(t, later, r.Code); !ok {
		t.Error("the code is void for what happened since")
	}
}

// A week of nightly base backups shifts every window; a code of any moment of it stays
// good.
func TestTheTimelineSaysOfEachMomentWhatALookAtItSaysOfWindows(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(12, "prod")
	s.rotated(daysAndWAL(9, "8d"), now.Add(-time.Hour))
	some := daysAndWAL(1, "1d")
	read := s.past(&some, some, now)
	if err := read.readStones(t.Context(), read.history.DeletedAfter(now.Add(-impact.ApprovalLife))); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		windows := []string{"", "12h", "2d", "5d", "8d", "1mo"}
		old := daysAndWAL(rapid.IntRange(1, 10).Draw(t, "days before"), rapid.SampledFrom(windows).Draw(t, "before"))
		next := daysAndWAL(rapid.IntRange(1, 10).Draw(t, "days after"), rapid.SampledFrom(windows).Draw(t, "after"))
		opts := ReviewOptions{Repo: s.Repository, Old: &old, New: next, AsOf: now, Now: now}
		rules, err := opts.rules()
		if err != nil {
			t.Fatal(err)
		}
		rules.wal = read.rules.wal
		past := *read
		p := &past
		p.opts, p.rules = opts, rules
		line := timeline{past: p, from: now.Add(-impact.ApprovalLife), to: now, lanes: p.history.Lanes()}
		steps, err := line.steps(s.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			at := now.Add(-time.Duration(rapid.Int64Range(0, int64(impact.ApprovalLife)).Draw(t, "looked at")))
			if got, want := lostAt(steps, at), p.judge(p.at(at), at).lost; got != want {
				t.Fatalf("as of %s the timeline has %d lost, a look at it %d", at, got.Len(), want.Len())
			}
		}
	})
}

func TestAWindowWaitsWhileABaseBackupCanNotBeRead(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(10, "prod")
	bad, err := s.NewPoint("db", "logical", now.AddDate(0, 0, -2), repo.WriterOptions{})
	if err == nil {
		err = bad.WriteStream(t.Context(), "archive", []byte("x"))
	}
	if err == nil {
		err = bad.Commit(t.Context(), &repo.Manifest{End: now})
	}
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.fixture, bad.Ref().ManifestKey(), "{")
	s.at(now.Add(-time.Minute))
	old := daysAndWAL(10, "8d")
	r := s.review(&old, daysAndWAL(10, "3d"), now, now)
	if r.Live.Shortened != 0 || r.Live.Waiting != 1 || r.Live.ToApprove() != 1 || r.Code == "" {
		t.Errorf("%q, %+v", r.Code, r.Live)
	}
}
