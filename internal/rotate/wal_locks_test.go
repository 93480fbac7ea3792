package rotate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// lockOf is until when the store locks a segment; zero for not at all.
func (s *walServer) lockOf(number uint64) time.Time {
	s.t.Helper()
	f, err := repo.NewWALFile(s.archive, pgwal.Segment{Timeline: 1, Number: number}.Name(walSegment), 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	_, until, err := s.Store().(objstore.Locker).LockedUntil(s.t.Context(), f.Key(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	return until
}

// S6
func TestWALThatTheStoreLocksStaysAndWhatStaysIsLockedForLonger(t *testing.T) {
	t.Parallel()
	s := newWALServer(lockedFixture(t), "db")
	today := time.Now()
	protect := func(days int) {
		t.Helper()
		if err := s.SetProtection(t.Context(), repo.Protection{Mode: objstore.Governance, Days: days}, time.Now(), "me"); err != nil {
			t.Fatal(err)
		}
	}
	s.base(today.AddDate(0, 0, -9), "prod") // segment 1, from before anything was locked
	s.segment(today.AddDate(0, 0, -8))
	protect(2)
	s.segment(today.AddDate(0, 0, -7)) // 3
	s.base(today.AddDate(0, 0, -1), "prod")
	s.segment(today) // 5
	protect(20)
	opts := s.options(walRule("1h"))
	opts.Now = today
	out, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	w := walOf(t, out)
	if left := s.names(); len(left) != 3 || w.Delete.Files != 2 || w.Keep.Files != 3 || len(out.Warnings) != 0 {
		t.Errorf("left are %v, %+v, warnings %v", left, w, out.Warnings)
	}
	if !slices.ContainsFunc(w.Keep.Runs, func(r WALRun) bool { return strings.Contains(r.Reason, "locked by the store") }) {
		t.Errorf("%+v", w.Keep.Runs)
	}
	if until := s.lockOf(3); until.After(today.AddDate(0, 0, 3)) {
		t.Errorf("what only its lock keeps is locked until %s", until)
	}
	for n := uint64(4); n <= 5; n++ {
		if until := s.lockOf(n); until.Before(today.AddDate(0, 0, 19)) {
			t.Errorf("segment %d stays and is locked until %s", n, until)
		}
	}
	// It is noted, so that the next rotation asks for none of it.
	files, err := s.ListWAL(t.Context(), s.archive, 0)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := s.ExtendWALLocks(t.Context(), s.archive, files[1:], "me"); err != nil || done.Points != 0 {
		t.Errorf("again: %+v, %v", done, err)
	}
}
