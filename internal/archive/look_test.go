package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

var putAlways objstore.PutOptions

// yard is a repository with an archive in it.
type yard struct {
	*testing.T
	repo *repo.Repository
	dir  string
}

func newYard(t *testing.T) *yard {
	t.Helper()
	at := t.TempDir()
	store, err := dir.Create(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: epoch, Key: seal.Local{Key: seal.NewKey()}, Reference: "env:KEY"})
	if err != nil {
		t.Fatal(err)
	}
	return &yard{t, r, at}
}

// commits is when the transactions of segment n ended, with those of an hour a segment.
func commitIn(n uint64) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }

// put archives a segment with a commit at its hour; idle ones have none.
func (y *yard) put(tl pgwal.Timeline, n uint64, idle bool) {
	y.Helper()
	seg := pgwal.Segment{Timeline: tl, Number: n}
	info := repo.WALInfo{Name: seg.Name(size), SegmentSize: size, Major: 15, First: seg.Start(size) + 40, Last: seg.End(size) - 100, Archived: epoch}
	if !idle {
		info.FirstCommit, info.LastCommit = commitIn(n), commitIn(n).Add(30*time.Minute)
	}
	if _, err := y.repo.PutWAL(y.Context(), shop, info, make([]byte, size)); err != nil {
		y.Fatal(err)
	}
}

func (y *yard) puts(tl pgwal.Timeline, from, to uint64) {
	y.Helper()
	for n := from; n < to; n++ {
		y.put(tl, n, false)
	}
}

func (y *yard) piece(tl pgwal.Timeline, n uint64, from, to uint32) {
	y.Helper()
	seg := pgwal.Segment{Timeline: tl, Number: n}
	info := repo.WALInfo{Name: seg.Name(size), PieceFrom: from, PieceTo: to, SegmentSize: size, Last: seg.Start(size) + pgwal.LSN(to) - 8,
		FirstCommit: commitIn(n), LastCommit: commitIn(n).Add(time.Duration(to) * time.Millisecond)}
	if _, err := y.repo.PutWAL(y.Context(), shop, info, make([]byte, to-from)); err != nil {
		y.Fatal(err)
	}
}

func (y *yard) history(tl pgwal.Timeline, text string) {
	y.Helper()
	if _, err := y.repo.PutWAL(y.Context(), shop, repo.WALInfo{Name: pgwal.HistoryName(tl)}, []byte(text)); err != nil {
		y.Fatal(err)
	}
}

// base commits a base backup that ended at half past the hour of its segment.
func (y *yard) base(system string, tl pgwal.Timeline, n uint64, parent string) repo.Ref {
	y.Helper()
	stopped := commitIn(n).Add(15 * time.Minute)
	w, err := y.repo.NewPoint(shop.Source, "physical", stopped.Add(-time.Minute), repo.WriterOptions{Parent: parent})
	if err != nil {
		y.Fatal(err)
	}
	if err := w.WriteStream(y.Context(), "archive", []byte("tar")); err != nil {
		y.Fatal(err)
	}
	start := pgwal.LSN(n*size) + 0x28
	err = w.Commit(y.Context(), &repo.Manifest{End: stopped, Server: repo.Server{SystemIdentifier: system, Major: 15},
		Physical: &repo.Physical{StartLSN: start, StopLSN: start + 0x100, Timeline: tl, SegmentSize: size, BlockSize: 8192, Stopped: stopped}})
	if err != nil {
		y.Fatal(err)
	}
	return w.Ref()
}

func (y *yard) look(headers bool) *Survey {
	y.Helper()
	s, err := Look(y.Context(), y.repo, shop, Options{Headers: headers})
	if err != nil {
		y.Fatal(err)
	}
	return s
}

func TestAWindowGoesFromTheEndOfTheBaseBackupToTheNewestCommit(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 6)
	y.put(1, 6, true)
	y.put(1, 7, true)
	base := y.base(shop.System, 1, 3, "")
	s := y.look(true)
	if len(s.Problems) > 0 || s.SegmentSize != size || s.Current != 1 || s.Files != 7 || len(s.Bases) != 1 || s.Bases[0].Ref != base {
		t.Fatalf("%+v", s)
	}
	want := commitIn(5).Add(30 * time.Minute)
	if s.Newest != 8*size-100 || !s.NewestCommit.Equal(want) || s.NewestStored.IsZero() {
		t.Errorf("newest %s, %s, stored %s", s.Newest, s.NewestCommit, s.NewestStored)
	}
	from, to, ok := s.Window()
	if !ok || !from.Equal(commitIn(3).Add(15*time.Minute)) || !to.Equal(want) {
		t.Errorf("%s to %s, %v", from, to, ok)
	}
	b, w, err := s.Choose(Target{Time: commitIn(5)})
	if err != nil || b.Ref != base || w.Gap != nil || w.ToLSN != 8*size-100 {
		t.Errorf("%+v %+v %v", b.Ref, w, err)
	}
	for target, why := range map[Target]string{
		{Time: commitIn(2)}:              "the oldest base backup that can be recovered ended at 2026-03-01 03:15:00Z",
		{Time: want.Add(1)}:              "the newest archived commit is of 2026-03-01 05:30:00Z",
		{LSN: 8*size - 100}:              "the newest archived commit",
		{LSN: 3*size + 0x28}:             "the oldest base backup",
		{Time: commitIn(4), Timeline: 7}: "no base backup leads to timeline 00000007",
		{LSN: 1 << 60}:                   "ask for the latest",
	} {
		var u *Unreachable
		if _, _, err := s.Choose(target); !errors.As(err, &u) || !strings.Contains(err.Error(), why) || target.Timeline == 0 && !strings.Contains(err.Error(), "2026-03-01 03:15:00Z to 2026-03-01 05:30:00Z") {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []Target{{Latest: true}, {Immediate: true}, {Time: want}, {LSN: 3*size + 0x128}, {XID: 700}} {
		if b, _, err := s.Choose(target); err != nil || b.Ref != base {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, _, err := s.Choose(Target{}); err == nil {
		t.Error("no target is one")
	}
}

func TestAGapIsToldWithTheCommitsAroundIt(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 4)
	y.put(1, 4, true)
	y.puts(1, 7, 9)
	first := y.base(shop.System, 1, 2, "")
	second := y.base(shop.System, 1, 7, "")
	s := y.look(true)
	gap := Gap{Timeline: 1, From: 5 * size, To: 7 * size, Segments: 2, Before: commitIn(3).Add(30 * time.Minute), After: commitIn(7)}
	gap.Stored = s.Timelines[0].Ranges[1].FirstStored
	if tl := s.Timelines[0]; len(tl.Ranges) != 2 || len(tl.Gaps) != 1 || tl.Gaps[0] != gap {
		t.Fatalf("%+v", tl)
	}
	if gaps := s.Gaps(); len(gaps) != 1 || gaps[0] != gap {
		t.Errorf("%+v", gaps)
	}
	for at, want := range map[time.Time]repo.Ref{commitIn(3): first, commitIn(8): second} {
		if b, _, err := s.Choose(Target{Time: at}); err != nil || b.Ref != want {
			t.Errorf("%s: %s %v", at, b.Ref, err)
		}
	}
	_, _, err := s.Choose(Target{Time: commitIn(5)})
	var u *Unreachable
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "WAL is missing from 0/500000 to 0/700000") || !strings.Contains(err.Error(), "2026-03-01 03:30:00Z, the first after of 2026-03-01 07:00:00Z") || len(u.Windows) != 2 {
		t.Errorf("%v", err)
	}
	if from, _, ok := s.Window(); !ok || !from.Equal(commitIn(7).Add(15*time.Minute)) {
		t.Errorf("the window begins at %s", from)
	}
}

func TestAfterAPromotionTheWindowGoesOnAlongTheNewTimeline(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 6) // the old primary went on
	y.history(2, "1\t0/300500\tno recovery target specified\n")
	base := y.base(shop.System, 1, 2, "")
	if s := y.look(true); s.Current != 2 || s.Newest != 3*size-100 {
		t.Errorf("just promoted: timeline %d, %s", s.Current, s.Newest)
	} else if w, has := s.Bases[0].Window(2); !has || w.ToLSN != 3*size-100 || !w.To.Equal(commitIn(2).Add(30*time.Minute)) {
		t.Errorf("just promoted: %+v", w)
	}
	y.puts(2, 3, 6)
	y.piece(2, 6, 0, 8192)
	y.piece(2, 6, 8192, 16384)
	s := y.look(true)
	w, has := s.Bases[0].Window(2)
	if !has || s.Bases[0].Ref != base || w.ToLSN != 6*size+16384-8 || w.Gap != nil || !w.To.Equal(commitIn(6).Add(16384*time.Millisecond)) {
		t.Errorf("%+v", w)
	}
	if old, has := s.Bases[0].Window(1); !has || old.ToLSN != 6*size-100 {
		t.Errorf("on the timeline that was left: %+v", old)
	}
	if _, w, err := s.Choose(Target{Latest: true, Timeline: 1}); err != nil || w.Timeline != 1 {
		t.Errorf("%+v %v", w, err)
	}
	// A base backup of what the old primary did after the promotion does not lead to the new timeline.
	y.base(shop.System, 1, 4, "")
	s = y.look(true)
	if _, has := s.Bases[0].Window(2); has || s.Bases[0].Problem != "" {
		t.Errorf("%+v", s.Bases[0])
	}
	if b, _, err := s.Choose(Target{Latest: true}); err != nil || b.Ref != base {
		t.Errorf("%s %v", b.Ref, err)
	}
}

func TestABaseBackupThatCannotBeUsedSaysWhy(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 6)
	good := y.base(shop.System, 1, 1, "")
	child := y.base(shop.System, 1, 2, good.ID)
	orphan := y.base(shop.System, 1, 3, "20200101T000000Z-aaaaaaaa")
	beyond := y.base(shop.System, 1, 8, "")
	bad := y.base(shop.System, 1, 4, "")
	grandchild := y.base(shop.System, 1, 5, bad.ID)
	y.base("99", 1, 5, "") // of the server that was there before
	if err := y.repo.Condemn(y.Context(), bad, repo.Mark{At: epoch, Why: "x"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{good.ID: "", child.ID: "", orphan.ID: "which is gone", beyond.ID: "WAL that it needs to be consistent is not archived: it goes from 0/800028 to 0/800128 on timeline 00000001",
		bad.ID: "found bad", grandchild.ID: "it builds on " + bad.ID + ": it was found bad"}
	s := y.look(true)
	if len(s.Bases) != len(want) {
		t.Fatalf("%d bases", len(s.Bases))
	}
	for _, b := range s.Bases {
		if w := want[b.Ref.ID]; (w == "") != (b.Problem == "") || !strings.Contains(b.Problem, w) {
			t.Errorf("%s: %q, want %q", b.Ref.ID, b.Problem, w)
		}
	}
	if b, _, err := s.Choose(Target{Latest: true}); err != nil || b.Ref != child {
		t.Errorf("%s %v", b.Ref, err)
	}
}

func TestAnEmptyArchiveIsSurveyedAndADamagedHeaderPassedOver(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	s := y.look(true)
	if s.Current != 0 || s.Files != 0 {
		t.Errorf("%+v", s)
	}
	if _, _, err := s.Choose(Target{Latest: true}); err == nil || !strings.Contains(err.Error(), "there is no base backup") {
		t.Error(err)
	}
	y.puts(1, 1, 5)
	for _, n := range []uint64{1, 4} { // the first to be read, and the newest
		f, err := repo.NewWALFile(shop, pgwal.Segment{Timeline: 1, Number: n}.Name(size), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := y.repo.DeleteWAL(t.Context(), []repo.WALFile{f}); err != nil {
			t.Fatal(err)
		}
		if _, err := y.repo.Store().Put(t.Context(), f.Key(), bytes.Repeat([]byte("x"), 5000), putAlways); err != nil {
			t.Fatal(err)
		}
	}
	if s = y.look(true); s.SegmentSize != size || len(s.Problems) != 2 || s.Newest != 5*size || !s.NewestCommit.Equal(commitIn(3).Add(30*time.Minute)) {
		t.Errorf("%+v", s)
	}
}

// What a copy of the repository that broke off left has a name and nothing in it.
func TestAnObjectWithNothingInItIsAGap(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 9)
	y.base(shop.System, 1, 2, "")
	f, err := repo.NewWALFile(shop, pgwal.Segment{Timeline: 1, Number: 5}.Name(size), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := y.repo.DeleteWAL(t.Context(), []repo.WALFile{f}); err != nil {
		t.Fatal(err)
	}
	if _, err := y.repo.Store().Put(t.Context(), f.Key(), nil, putAlways); err != nil {
		t.Fatal(err)
	}
	if gaps := y.look(true).Gaps(); len(gaps) != 1 || gaps[0].From != 5*size || gaps[0].To != 6*size {
		t.Errorf("%+v", gaps)
	}
}

// A restored copy that was promoted archives a newer timeline than the server is on.
func TestATargetOnAnotherTimelineIsSaidToBeThere(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 9)
	y.history(2, "1\t0/300500\tno recovery target specified\n")
	y.puts(2, 3, 4)
	y.base(shop.System, 1, 2, "")
	s := y.look(true)
	target := Target{Time: commitIn(7)}
	if _, _, err := s.Choose(target); err == nil || !strings.Contains(err.Error(), "on timeline 00000001 it can be recovered: choose it with --target-timeline") {
		t.Error(err)
	}
	target.Timeline = 1
	if _, _, err := s.Choose(target); err != nil {
		t.Error(err)
	}
	target.Timeline = 2
	if _, _, err := s.Choose(target); err == nil || strings.Contains(err.Error(), "--target-timeline") {
		t.Error(err)
	}
}

func TestTheArchiveThatIsMeantIsFound(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	find := func(source, system string) (repo.WALArchive, error) {
		return Find(context.Background(), y.repo, source, system)
	}
	if _, err := find("", ""); !errors.Is(err, repo.ErrNotFound) || !strings.Contains(err.Error(), "wal push") {
		t.Error(err)
	}
	y.put(1, 1, false)
	if a, err := find("", ""); err != nil || a != shop {
		t.Error(a, err)
	}
	if _, err := find("other", shop.System); !errors.Is(err, repo.ErrNotFound) || !strings.Contains(err.Error(), "--source shop") {
		t.Error(err)
	}
	time.Sleep(10 * time.Millisecond)
	anew := repo.WALArchive{Source: shop.Source, System: "43"}
	if _, err := y.repo.PutWAL(t.Context(), anew, repo.WALInfo{Name: "00000002.history"}, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if a, err := find(shop.Source, ""); err != nil || a != anew {
		t.Error(a, err)
	}
	if a, err := find(shop.Source, shop.System); err != nil || a != shop {
		t.Error(a, err)
	}
	if _, err := y.repo.PutWAL(t.Context(), repo.WALArchive{Source: "z", System: "44"}, repo.WALInfo{Name: "00000002.history"}, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := find("", ""); !errors.Is(err, repo.ErrAmbiguous) || !strings.Contains(err.Error(), fmt.Sprint(anew)) {
		t.Error(err)
	}
}
