package policy_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const walSegmentSize = 1 << 20

// archiveDay takes a base backup of so many days ago and archives the segments that
// begin at number, two of that day.
func archiveDay(t *testing.T, r *repo.Repository, dir string, daysAgo int, number uint64) time.Time {
	t.Helper()
	start := time.Now().UTC().AddDate(0, 0, -daysAgo).Add(-3 * time.Hour).Truncate(time.Second)
	stopped := start.Add(time.Hour)
	a := repo.WALArchive{Source: "db.example.org", System: "7300000000000000001"}
	for n := number; n < number+2; n++ {
		segment := pgwal.Segment{Timeline: 1, Number: n}
		at := stopped.Add(time.Duration(n-number) * time.Hour)
		info := repo.WALInfo{Name: segment.Name(walSegmentSize), SegmentSize: walSegmentSize, First: segment.Start(walSegmentSize), Last: segment.End(walSegmentSize), LastCommit: at, Archived: at}
		if _, err := r.PutWAL(t.Context(), a, info, make([]byte, walSegmentSize)); err != nil {
			t.Fatal(err)
		}
		dated(t, filepath.Join(dir, "wal"), info.Name, at)
	}
	w, err := r.NewPoint(a.Source, "physical", start, repo.WriterOptions{})
	if err == nil {
		err = w.WriteStream(t.Context(), "archive", []byte("base"))
	}
	if err == nil {
		at := pgwal.LSN(number*walSegmentSize + 40)
		err = w.Commit(t.Context(), &repo.Manifest{End: stopped, Server: repo.Server{Major: 15, SystemIdentifier: a.System}, Physical: &repo.Physical{
			StartLSN: at, StopLSN: at + 100, Timeline: 1, SegmentSize: walSegmentSize, BlockSize: 8192, Stopped: stopped,
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return stopped
}

// dated gives the file of that name below a folder another time.
func dated(t *testing.T, folder, name string, at time.Time) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != name {
			return err
		}
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func window(span string) string {
	return fmt.Sprintf("retention = { keep_daily = 30, wal = %q }", span)
}

func TestAccApproval_asksForAShorterWindowAlthoughEveryPointStays(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	var stopped []time.Time // by days ago
	for days := 9; days >= 0; days-- {
		stopped = append([]time.Time{archiveDay(t, r, dir, days, uint64(20-2*days))}, stopped...)
	}
	w.Configure(prod(dir, window("7d"))) // so far everything since the oldest base backup stayed
	refusal := w.Plan()
	if !refusal.Failed || len(refusal.Errors()) != 1 || !strings.Contains(refusal.Errors()[0], "2 days of point-in-time recovery of db.example.org would be lost, and nobody has approved that") {
		t.Fatalf("a plan that shortens the window:\n%s", refusal)
	}
	moment := func(at time.Time) string { return at.Format("2 January 2006 15:04") }
	for _, words := range []string{"from " + moment(stopped[9]) + " to now", "from " + moment(stopped[7]) + " to now"} {
		if !strings.Contains(strings.Join(strings.Fields(refusal.String()), " "), words) {
			t.Errorf("the refusal lacks %q:\n%s", words, refusal)
		}
	}
	_, after, _ := strings.Cut(refusal.String(), "approve_expiry = ")
	code := codePattern.FindString(after)
	if !strings.HasPrefix(code, "EXPIRE-1-") {
		t.Fatalf("the code is %q", code)
	}
	w.Configure(prod(dir, window("7d")+fmt.Sprintf("\n  approve_expiry = %q", code)))
	passed(t, w.Plan(), "pgbackup_policy (prod): 2 days of point-in-time recovery of db.example.org will be deleted by the next rotation, approved by "+code)
	planned := w.Show(address)
	impact, _ := planned.After["impact"].(map[string]any)
	windows, _ := impact["windows"].([]any)
	if len(windows) != 1 {
		t.Fatalf("the plan shows %v", impact)
	}
	shown := windows[0].(map[string]any)
	if shown["from_before"] != stopped[9].Format(time.RFC3339) || shown["from_after"] != stopped[7].Format(time.RFC3339) || shown["lost"] != true || impact["points"] != 0.0 {
		t.Errorf("the plan shows %v", impact)
	}
	// Between plan and apply WAL arrives.
	archiveDay(t, r, dir, 0, 40)
	if out := w.ApplySaved(); out.Failed {
		t.Fatalf("apply:\n%s", out)
	}
	if state := w.State(address); fmt.Sprint(state["impact"]) != fmt.Sprint(planned.After["impact"]) {
		t.Errorf("the impact was planned as %v and became %v", planned.After["impact"], state["impact"])
	}
	revisions := history(t, dir)
	if last := revisions[len(revisions)-1]; last.Envelope.Approval != code || last.Envelope.Loss == nil || last.Envelope.Loss.Points != 1 {
		t.Errorf("the revision says %+v", last.Envelope)
	}
	w.Configure(prod(dir, window("30d")))
	w.MustApply()
}
