package rotate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// madeAt makes the server one that initdb made at a moment.
func (s *walServer) madeAt(when time.Time) {
	s.archive.System = fmt.Sprint(uint64(when.Unix())<<32 | 1)
}

// reasonsOf are the reasons of a base backup that stays; "" for one that goes.
func reasonsOf(out Outcome, ref repo.Ref) string {
	for _, d := range out.Keep {
		if d.ref == ref {
			return strings.Join(d.Reasons, "; ")
		}
	}
	return ""
}

func TestARotationLeavesTheOtherServerOfASourceThatGoesOnArchivingItsOnlyBaseBackup(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	first, second := newWALServer(f, "db"), newWALServer(f, "db")
	first.madeAt(now.AddDate(0, 0, -30))
	second.madeAt(now.AddDate(0, 0, -20))
	only := first.base(now.AddDate(0, 0, -5), "prod")
	first.segment(now.AddDate(0, 0, -4))
	second.base(now.AddDate(0, 0, -3), "prod")
	first.segment(now.AddDate(0, 0, -1))
	newest := second.base(now.Add(-2*time.Hour), "prod")
	f.at(now.Add(-time.Minute))
	for range 2 {
		out, err := Run(t.Context(), first.options(retention.Keep{KeepLast: 1}))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Keep) != 2 || !strings.Contains(reasonsOf(out, only), "system identifier "+first.archive.System+", which still archives WAL") || reasonsOf(out, newest) == "" {
			t.Errorf("keeps %+v", out.Keep)
		}
	}
	for _, s := range []*walServer{first, second} {
		if _, _, ok := s.survey().Window(); !ok {
			t.Errorf("nothing of %s can be recovered any more", s.archive)
		}
	}
}

func TestTheArchiveOfAServerThatWasMadeAnewHoldsNothing(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	before, after := newWALServer(f, "db"), newWALServer(f, "db")
	before.madeAt(now.AddDate(0, 0, -30))
	after.madeAt(now.AddDate(0, 0, -3))
	before.base(now.AddDate(0, 0, -5), "prod")
	before.segment(now.AddDate(0, 0, -4))
	newest := after.base(now.AddDate(0, 0, -2), "prod")
	after.segment(now.Add(-time.Hour))
	f.at(now.Add(-time.Minute))
	out, err := Run(t.Context(), before.options(retention.Keep{KeepLast: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Keep) != 1 || out.Keep[0].ref != newest {
		t.Errorf("keeps %+v", out.Keep)
	}
}

func TestABaseBackupThatLeadsToTheTimelineTheServerWasTakenBackToStaysUntilThereIsANewerOne(t *testing.T) {
	t.Parallel()
	s := newWALServer(reviewed(t), "db")
	s.segment(now.AddDate(0, 0, -6))
	leads := s.base(now.AddDate(0, 0, -5), "prod")
	s.segment(now.AddDate(0, 0, -4))
	left, number := s.position(), s.next
	s.segment(now.AddDate(0, 0, -4))
	s.fork(now.AddDate(0, 0, -4))
	newest := s.base(now.AddDate(0, 0, -3), "prod")
	s.segment(now.AddDate(0, 0, -2))
	s.line, s.next = 3, number
	s.put(pgwal.HistoryName(3), repo.WALInfo{}, fmt.Appendf(nil, "1\t%s\tno recovery target specified\n", left), now.AddDate(0, 0, -1))
	s.at(now.Add(-time.Minute))
	keep := retention.Keep{KeepLast: 1}
	for _, step := range []string{"with its history alone", "with a segment", "again"} {
		if step == "with a segment" {
			s.segment(now.AddDate(0, 0, -1))
		}
		out, err := Run(t.Context(), s.options(keep))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Keep) != 2 || reasonsOf(out, newest) == "" || !strings.Contains(reasonsOf(out, leads), "the newest base backup that leads to timeline 3") {
			t.Errorf("%s: keeps %+v", step, out.Keep)
		}
		found := s.survey()
		if _, _, ok := found.Window(); !ok || found.Current != 3 {
			t.Errorf("%s: nothing on timeline %d can be recovered: %v", step, found.Current, s.names())
		}
	}
	if names := s.names(); slices.Contains(names, "000000010000000000000001") {
		t.Errorf("what is older than every base backup is still there: %v", names)
	}
	last := s.base(now.Add(-2*time.Hour), "prod")
	s.at(now.Add(-time.Minute))
	out, err := Run(t.Context(), s.options(keep))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Keep) != 1 || out.Keep[0].ref != last || len(out.WAL) != 1 || out.WAL[0].After == nil || out.WAL[0].After.Base != last.ID {
		t.Errorf("keeps %+v, WAL %+v", out.Keep, out.WAL)
	}
}

// A review tells of no loss that a rotation would not do, as far as it knows the archives.
func TestAReviewKnowsThatTheOtherServerOfASourceKeepsItsBaseBackup(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	first, second := newWALServer(f, "db"), newWALServer(f, "db")
	first.madeAt(now.AddDate(0, 0, -30))
	second.madeAt(now.AddDate(0, 0, -20))
	first.base(now.AddDate(0, 0, -5), "prod")
	first.segment(now.AddDate(0, 0, -1))
	second.base(now.AddDate(0, 0, -2), "prod")
	f.at(now.Add(-time.Minute))
	old, next := doc(retention.Keep{KeepLast: 2}), doc(retention.Keep{KeepLast: 1})
	if r := f.review(&old, next, now, now); r.Live.Points != 0 || r.Live.ToApprove() != 0 {
		t.Errorf("%+v", r.Live)
	}
}
