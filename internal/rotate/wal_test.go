package rotate

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func walRule(span string) retention.Keep { return retention.Keep{WAL: duration.MustParse(span)} }

func TestAPlanShowsTheWindowOfRecoveryBeforeAndAfterAndTouchesNothing(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	refs := s.days(10, "prod")
	files := s.names()
	out, err := Plan(t.Context(), s.options(walRule("3d")))
	if err != nil {
		t.Fatal(err)
	}
	w := walOf(t, out)
	if w.Before == nil || w.Before.Base != refs[9].ID || !w.Before.From.Equal(now.AddDate(0, 0, -9).Add(-9*time.Hour)) {
		t.Errorf("before %+v", w.Before)
	}
	// Three days back from the newest commit, at 11:00, the base backup of 02:00 had ended.
	if w.After == nil || w.After.Base != refs[3].ID || !w.After.From.Equal(now.AddDate(0, 0, -3).Add(-9*time.Hour)) || !w.After.To.Equal(now.Add(-time.Hour)) {
		t.Errorf("after %+v, want %s", w.After, refs[3].ID)
	}
	if len(out.Delete) != 8 || w.Delete.Files == 0 || w.Delete.Files+w.Keep.Files != len(files) || w.Delete.Bytes == 0 {
		t.Errorf("deletes %d base backups, %+v", len(out.Delete), w.Delete)
	}
	if !slices.Equal(s.names(), files) || len(out.Warnings) != 0 {
		t.Errorf("left are %v, warnings %v", s.names(), out.Warnings)
	}
}

func TestARotationDeletesWhatNoBaseBackupNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(6, "prod")
	s.fork(now.AddDate(0, 0, -1))
	held := s.refs()[5]
	if err := s.Hold(t.Context(), held, repo.Mark{At: now}); err != nil {
		t.Fatal(err)
	}
	planned, err := Plan(t.Context(), s.options(walRule("2d")))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), s.options(walRule("2d")))
	if err != nil {
		t.Fatal(err)
	}
	w, p := walOf(t, out), walOf(t, planned)
	if w.Delete.Files != p.Delete.Files || w.Keep.Files != p.Keep.Files || len(s.names()) != w.Keep.Files || *w.After != *p.After {
		t.Errorf("planned %+v, done %+v, left %d files", p, w, len(s.names()))
	}
	found := s.survey()
	for _, b := range found.Bases {
		if b.Problem != "" {
			t.Errorf("%s stays and %s", b.Ref.ID, b.Problem)
		}
	}
	if from, to, ok := found.Window(); !ok || !from.Equal(w.After.From) || !to.Equal(w.After.To) {
		t.Errorf("recoverable from %s to %s, told was %+v", from, to, w.After)
	}
	if !slices.Contains(s.names(), "00000002.history") || s.names()[0] != "000000010000000000000001" {
		t.Errorf("history, or the segment of the held base backup, is gone: %v", s.names())
	}
	again, err := Run(t.Context(), s.options(walRule("2d")))
	if err != nil || walOf(t, again).Delete.Files != 0 {
		t.Errorf("again: %+v, %v", walOf(t, again), err)
	}
}

func TestWithoutARuleForWALWhatIsOlderThanEveryBaseBackupGoes(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	refs := s.days(6, "prod")
	out, err := Run(t.Context(), s.options(retention.Keep{KeepLast: 4}))
	if err != nil {
		t.Fatal(err)
	}
	if w := walOf(t, out); w.After == nil || w.After.Base != refs[3].ID || s.names()[0] != w.Keep.Runs[0].First || w.Delete.Files == 0 {
		t.Errorf("%+v, left %v", w, s.names())
	}
}

func TestWALStaysWhenABaseBackupIsInDoubt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, s *walServer, refs []repo.Ref, opts *Options) error
		says   string
	}{
		{"a manifest that can not be read", func(_ *testing.T, s *walServer, refs []repo.Ref, _ *Options) error {
			return os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(refs[2].ManifestKey())), []byte("{"), 0o600)
		}, "can not be read"},
		{"data that is gone", func(_ *testing.T, s *walServer, refs []repo.Ref, _ *Options) error {
			return os.RemoveAll(filepath.Join(s.dir, filepath.FromSlash(refs[0].DataPrefix())))
		}, "lacks its data"},
		{"a policy that can not be read", func(t *testing.T, s *walServer, _ []repo.Ref, _ *Options) error {
			s.base(now.Add(-30*time.Minute), "dev")
			d := doc(walRule("1d"))
			d.Name = "dev"
			if _, err := s.PutPolicyRevision(t.Context(), 0, d, policy.Envelope{At: now}); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(s.files("policies/dev/")[0])), []byte("{"), 0o600)
		}, "policy dev, which made a base backup, can not be read"},
		{"every base backup found bad", func(t *testing.T, s *walServer, refs []repo.Ref, _ *Options) error {
			var errs []error
			for _, ref := range refs {
				errs = append(errs, s.Condemn(t.Context(), ref, repo.Mark{At: now}))
			}
			return errors.Join(errs...)
		}, "no base backup of its server is good"},
		{"no base backup at all", func(_ *testing.T, s *walServer, _ []repo.Ref, _ *Options) error {
			return errors.Join(os.RemoveAll(filepath.Join(s.dir, "manifests")), os.RemoveAll(filepath.Join(s.dir, "points")))
		}, "there is no base backup of its server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newWALServer(reviewed(t), "db")
			refs := s.days(6, "prod")
			opts := s.options(walRule("1d"))
			if err := c.damage(t, s, refs, &opts); err != nil {
				t.Fatal(err)
			}
			files := s.names()
			planned, err := Plan(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Run(t.Context(), opts); err != nil {
				t.Fatal(err)
			}
			w := walOf(t, planned)
			if w.Delete.Files != 0 || !strings.Contains(w.Doubt+w.Keep.Runs[0].Reason, c.says) {
				t.Errorf("%+v", w)
			}
			if left := s.names(); !slices.Equal(left, files) {
				t.Errorf("%d of %d files are left", len(left), len(files))
			}
		})
	}
}

// Both have made base backups of one server: what either needs stays.
func TestAnotherPolicyKeepsTheWindowThatItPromises(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	dev := doc(walRule("5d"))
	dev.Name = "dev"
	if _, err := s.PutPolicyRevision(t.Context(), 0, dev, policy.Envelope{At: now.AddDate(0, 0, -20)}); err != nil {
		t.Fatal(err)
	}
	s.at(now.AddDate(0, 0, -20))
	s.days(8, "dev")
	refs := s.refs()
	newest := s.base(now.Add(-30*time.Minute), "prod")
	s.at(now.Add(-time.Minute))
	out, err := Run(t.Context(), s.options(walRule("1h")))
	if err != nil {
		t.Fatal(err)
	}
	if w := walOf(t, out); w.After == nil || w.After.Base != refs[5].ID || !strings.Contains(w.Keep.Runs[0].Reason, "policy dev") {
		t.Errorf("%+v; want from %s, newest %s", w, refs[5].ID, newest.ID)
	}
	// Rules without a policy are the operator's word.
	opts := s.options(walRule("1h"))
	opts.Policy, opts.PolicyRevision = "", 0
	if out, err = Run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if w := walOf(t, out); w.After == nil || !w.After.From.After(now.AddDate(0, 0, -1)) {
		t.Errorf("%+v", w)
	}
}

func TestARevisionThatNobodyApprovedShortensNoWindow(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(8, "prod")
	opts := s.options(retention.Keep{KeepLast: 8, WAL: duration.MustParse("1h")})
	opts.Restrict = []Restriction{{Rules: retention.Rules{Keep: retention.Keep{KeepLast: 8, WAL: duration.MustParse("5d")}}, Why: "never approved"}}
	out, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if w := walOf(t, out); w.After == nil || w.After.From.After(now.AddDate(0, 0, -5)) {
		t.Errorf("%+v", w)
	}
}

func TestWALIsLeftAloneWhileABackupOfTheSourceRuns(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(6, "prod")
	files := s.names()
	lease, _, err := s.TakeLease(t.Context(), "db", repo.LeaseOptions{What: "backup", Self: repo.Self(), TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	opts := s.options(walRule("1d"))
	if _, err := Run(t.Context(), opts); !errors.Is(err, repo.ErrLocked) || !slices.Equal(s.names(), files) {
		t.Errorf("%v, %d of %d files left", err, len(s.names()), len(files))
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), opts); err != nil || len(s.names()) >= len(files) {
		t.Errorf("%v, %d of %d files left", err, len(s.names()), len(files))
	}
}

func TestAChangeOfThePolicyUnderWayStopsTheDeletionOfWAL(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(6, "prod")
	rev, err := s.PutPolicyRevision(t.Context(), 0, doc(retention.Keep{KeepLast: 6, WAL: duration.MustParse("1d")}), policy.Envelope{At: now})
	if err != nil {
		t.Fatal(err)
	}
	opts := s.options(retention.Keep{KeepLast: 6, WAL: duration.MustParse("1d")})
	if _, err := s.PutPolicyRevision(t.Context(), rev.Number, doc(walRule("9d")), policy.Envelope{At: now}); err != nil {
		t.Fatal(err)
	}
	files := s.names()
	out, err := Run(t.Context(), opts)
	if !errors.Is(err, repo.ErrPolicyChanged) || !slices.Equal(s.names(), files) {
		t.Errorf("%v, %d of %d files left", err, len(s.names()), len(files))
	}
	if w := walOf(t, out); w.Delete.Files != 0 || w.Keep.Files != len(files) {
		t.Errorf("%+v", w)
	}
}

func TestABaseBackupStaysWhileTheArchiveOfItsSourceCanNotBeMadeOut(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(4, "prod")
	other := repo.WALArchive{Source: "db", System: "8"} // of another server by that name
	if _, err := s.PutWAL(t.Context(), other, repo.WALInfo{Name: "000000010000000000000001", SegmentSize: walSegment}, make([]byte, walSegment)); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.fixture, s.files("wal/db-8/")[0], "no header")
	files := s.names()
	out, err := Run(t.Context(), s.options(walRule("1d")))
	if err != nil || len(out.Delete) != 0 || len(out.Warnings) != 1 || !slices.Equal(s.names(), files) {
		t.Errorf("%+v, %v; %d of %d files left", out, err, len(s.names()), len(files))
	}
}

func TestTheRuleWALWithoutAnArchiveIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w, err := f.NewPoint("db", "physical", now.Add(-time.Hour), repo.WriterOptions{})
	if err == nil {
		err = w.WriteStream(t.Context(), "archive", []byte("x"))
	}
	if err == nil {
		err = w.Commit(t.Context(), &repo.Manifest{End: now, Physical: somewhere})
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := Plan(t.Context(), f.options(walRule("1d")))
	if err != nil || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "no WAL of db is archived") {
		t.Errorf("%v, %v", out.Warnings, err)
	}
}

func TestARotationOfAnotherKindLeavesWALAlone(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.days(4, "prod")
	s.points("db", 1, 2, 3)
	files := s.names()
	opts := s.options(retention.Keep{KeepLast: 1})
	opts.Filter.Kind = "logical"
	out, err := Run(t.Context(), opts)
	if err != nil || len(out.WAL) != 0 || !slices.Equal(s.names(), files) {
		t.Errorf("%+v, %v", out.WAL, err)
	}
}
