package rotate

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const walSegment = 1 << 20

// somewhere in WAL, for base backups of which nothing of that is archived.
var somewhere = &repo.Physical{StartLSN: walSegment, StopLSN: walSegment + 100, Timeline: 1, SegmentSize: walSegment, BlockSize: 8192}

// walServer archives WAL into a repository, and takes base backups.
type walServer struct {
	*fixture
	archive repo.WALArchive
	line    pgwal.Timeline
	next    uint64 // segment
}

func newWALServer(f *fixture, source string) *walServer {
	return &walServer{fixture: f, archive: repo.WALArchive{Source: source, System: "7300000000000000001"}, line: 1, next: 1}
}

func (s *walServer) position() pgwal.LSN { return pgwal.LSN(s.next*walSegment + 40) }

// put archives a file as of a moment.
func (s *walServer) put(name string, info repo.WALInfo, data []byte, when time.Time) {
	s.t.Helper()
	info.Name = name
	if _, err := s.PutWAL(s.t.Context(), s.archive, info, data); err != nil {
		s.t.Fatal(err)
	}
	if s.dir == "" { // a bucket, which knows the time itself
		return
	}
	file, err := repo.NewWALFile(s.archive, name, 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(s.dir, filepath.FromSlash(file.Key())), when, when); err != nil {
		s.t.Fatal(err)
	}
}

// segment archives the next one, whose last commit was at a moment.
func (s *walServer) segment(when time.Time) {
	s.t.Helper()
	segment := pgwal.Segment{Timeline: s.line, Number: s.next}
	s.put(segment.Name(walSegment), repo.WALInfo{
		SegmentSize: walSegment, Major: 15, First: segment.Start(walSegment), Last: segment.End(walSegment),
		FirstCommit: when.Add(-time.Minute), LastCommit: when, Archived: when,
	}, make([]byte, walSegment), when)
	s.next++
}

// fork begins the next timeline, as a promotion does, and archives its history.
func (s *walServer) fork(when time.Time) {
	s.t.Helper()
	history := ""
	for t := pgwal.Timeline(1); t <= s.line; t++ {
		history += fmt.Sprintf("%d\t%s\tno recovery target specified\n", t, s.position())
	}
	s.line++
	s.put(pgwal.HistoryName(s.line), repo.WALInfo{}, []byte(history), when)
}

// base takes a base backup in an hour, and archives the segment that it needs.
func (s *walServer) base(start time.Time, policyName string) repo.Ref {
	s.t.Helper()
	w, err := s.NewPoint(s.archive.Source, "physical", start, repo.WriterOptions{})
	if err == nil {
		err = w.WriteStream(s.t.Context(), "archive", []byte(fmt.Sprint("base", start)))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	end := start.Add(time.Hour)
	m := &repo.Manifest{End: end, Server: repo.Server{Major: 15, SystemIdentifier: s.archive.System}, Physical: &repo.Physical{
		StartLSN: s.position(), StopLSN: s.position() + 100, Timeline: s.line, SegmentSize: walSegment, BlockSize: 8192, Stopped: end,
	}}
	if policyName != "" {
		m.Policy, m.PolicyRevision = policyName, 1
	}
	s.segment(end)
	if err := w.Commit(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
	return w.Ref()
}

// days archives a segment each six hours, and takes a base backup each night, of that
// many days up to now; it returns the base backups, the newest first.
func (s *walServer) days(n int, policyName string) []repo.Ref {
	s.t.Helper()
	var refs []repo.Ref
	for i := n - 1; i >= 0; i-- {
		night := now.AddDate(0, 0, -i).Add(-10 * time.Hour) // 02:00
		refs = append([]repo.Ref{s.base(night, policyName)}, refs...)
		for h := range 4 {
			if at := night.Add(time.Duration(h+1) * 3 * time.Hour); at.Before(now) {
				s.segment(at)
			}
		}
	}
	s.at(now.Add(-time.Minute))
	return refs
}

// survey is what there is.
func (s *walServer) survey() *archive.Survey {
	s.t.Helper()
	found, err := archive.Look(s.t.Context(), s.Repository, s.archive, archive.Options{Headers: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// past is what a review of a change reads.
func (s *walServer) past(old *policy.Document, next policy.Document, when time.Time) *past {
	s.t.Helper()
	opts := ReviewOptions{Repo: s.Repository, Old: old, New: next, AsOf: when, Now: when}
	rules, err := opts.rules()
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := readPast(s.t.Context(), opts, rules)
	if err == nil {
		err = p.prepare(s.t.Context(), when)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// names of the files that are there.
func (s *walServer) names() []string {
	s.t.Helper()
	files, err := s.ListWAL(s.t.Context(), s.archive, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

// walOf is the part of an outcome about the server.
func walOf(t *testing.T, out Outcome) WAL {
	t.Helper()
	if len(out.WAL) != 1 {
		t.Fatalf("%d archives are told of: %+v", len(out.WAL), out.WAL)
	}
	return out.WAL[0]
}

// overwrite puts something else in the place of a file.
func overwrite(t *testing.T, f *fixture, key, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, filepath.FromSlash(key)), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
