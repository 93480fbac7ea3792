package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// server is one PostgreSQL server with the sample application, which no test
// changes.
var server *testenv.PostgresServer

func TestMain(m *testing.M) {
	code := 1
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if server != nil {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func start() (err error) {
	ctx := context.Background()
	if server, err = testenv.StartPostgres(ctx, "", testenv.PostgresOptions{}); err != nil {
		return err
	}
	return server.LoadSample(ctx, "postgres")
}

// fixture is a repository in a directory with real backups of the sample.
type fixture struct {
	*repo.Repository
	t      *testing.T
	dir    string
	target postgres.Target
}

func newFixture(t *testing.T, key seal.Wrapper) *fixture {
	t.Helper()
	target, err := postgres.ParseTarget(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "repo")
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{r, t, root, target}
}

func (f *fixture) backup() *repo.Manifest {
	f.t.Helper()
	result, err := backup.Run(f.t.Context(), backup.Options{Options: point.Options{Repo: f.Repository, Source: "app", Self: repo.Self()}, Target: f.target, Globals: true})
	if err != nil {
		f.t.Fatal(err)
	}
	return result.Manifest
}

func (f *fixture) verify(change func(*Options)) Report {
	f.t.Helper()
	points, err := f.List(f.t.Context(), repo.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	opts := Options{Repo: f.Repository, Points: points, Mark: true, By: "test", Now: time.Now()}
	if change != nil {
		change(&opts)
	}
	report, err := Run(f.t.Context(), opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

func (f *fixture) edit(key string, change func([]byte) []byte) (undo func()) {
	f.t.Helper()
	path := filepath.Join(f.dir, key)
	before, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, change([]byte(string(before))), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, before, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
}

func flipMiddle(b []byte) []byte { b[len(b)/2] ^= 1; return b }

func TestGoodBackupsVerify(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]seal.Wrapper{"plain": nil, "sealed": seal.Local{Key: seal.NewKey()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, key)
			a, b := f.backup(), f.backup()
			var seen []repo.Ref
			report := f.verify(func(o *Options) {
				o.Jobs = 2
				o.Progress = func(_ int, ref repo.Ref) { seen = append(seen, ref) }
			})
			if report.Err() != nil || report.Checked != 2 || len(report.Bad)+len(report.Unchecked)+len(report.Warnings) > 0 || len(seen) != 2 {
				t.Errorf("%+v, seen %v", report, seen)
			}
			if report.Bytes != a.StoredSize()+b.StoredSize() {
				t.Errorf("read %d bytes", report.Bytes)
			}
		})
	}
}

func TestOneFlippedBitAnywhereIsFoundCondemnedAndNoLongerLatest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	old := f.backup()
	time.Sleep(1100 * time.Millisecond) // ids order by the second
	m := f.backup()
	for _, o := range m.Objects {
		undo := f.edit(m.Ref().DataPrefix()+o.Name, flipMiddle)
		report := f.verify(nil)
		if !errors.Is(report.Err(), ErrBad) || report.Checked != 2 || len(report.Bad) != 1 || report.Bad[0].ID != m.ID || report.Bad[0].Object != o.Name || !report.Bad[0].Condemned {
			t.Errorf("%s: %+v", o.Name, report)
		}
		if latest, err := f.Find(t.Context(), "latest", repo.Filter{}); err != nil || latest.ID != old.ID {
			t.Errorf("%s: latest is %s, %v", o.Name, latest.ID, err)
		}
		undo()
		if report := f.verify(nil); report.Err() != nil || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "still condemned") {
			t.Errorf("%s put right: %+v", o.Name, report)
		}
		if report := f.verify(func(o *Options) { o.Clear = true }); report.Err() != nil || len(report.Warnings) != 0 {
			t.Errorf("%s cleared: %+v", o.Name, report)
		}
		if latest, err := f.Find(t.Context(), "latest", repo.Filter{}); err != nil || latest.ID != m.ID {
			t.Errorf("%s cleared: latest is %s, %v", o.Name, latest.ID, err)
		}
	}
}

func TestWithoutMarkingABadPointIsOnlyReported(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	m := f.backup()
	f.edit(m.Ref().DataPrefix()+m.Objects[0].Name, func(b []byte) []byte { return b[:len(b)-1] })
	report := f.verify(func(o *Options) { o.Mark = false })
	if !errors.Is(report.Err(), ErrBad) || report.Bad[0].Condemned {
		t.Errorf("%+v", report)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "condemned")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was marked: %v", err)
	}
}

func TestADamagedManifestAndAMissingObjectAreBadAndANewerFormatIsNoVerdict(t *testing.T) {
	t.Parallel()
	f := newFixture(t, seal.Local{Key: seal.NewKey()})
	m := f.backup()
	key := m.Ref().ManifestKey()
	undo := f.edit(key, func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"rows":`, `"rows":1`, 1)) // valid JSON, edited
	})
	if report := f.verify(nil); !errors.Is(report.Err(), ErrBad) || report.Bad[0].Object != key {
		t.Errorf("edited manifest: %+v", report)
	}
	undo()
	undo = f.edit(key, func([]byte) []byte { return []byte(`{"manifest":{"format":99}}`) })
	if report := f.verify(nil); !errors.Is(report.Err(), ErrUnchecked) || !errors.Is(report.Err(), repo.ErrNewerFormat) || report.Checked != 0 {
		t.Errorf("newer format: %+v", report)
	}
	undo()
	if err := os.Remove(filepath.Join(f.dir, m.Ref().DataPrefix()+m.Objects[1].Name)); err != nil {
		t.Fatal(err)
	}
	if report := f.verify(nil); !errors.Is(report.Err(), ErrBad) || report.Bad[0].Object != m.Objects[1].Name {
		t.Errorf("missing object: %+v", report)
	}
}

func TestAListThatDoesNotFitTheArchiveIsFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	m := f.backup()
	p, err := f.OpenPoint(t.Context(), m.Ref())
	if err != nil {
		t.Fatal(err)
	}
	archive := pgarchive.NewReader(pgarchive.Events{})
	body, err := p.Open(t.Context(), logical.StreamArchive)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(archive, body); err != nil {
		t.Fatal(err)
	}
	records, err := logical.ReadRecords(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(checkRecords(archive, records), checkTotals(m.Totals, archive)); err != nil {
		t.Fatalf("as it was written: %v", err)
	}
	first := archive.Data()[0].Entry.DumpID
	for name, change := range map[string]func(map[int32]logical.TableRecord){
		"a row more": func(r map[int32]logical.TableRecord) { rec := r[first]; rec.Rows++; r[first] = rec },
		"another hash": func(r map[int32]logical.TableRecord) {
			rec := r[first]
			rec.Hash = "00" + rec.Hash[2:] + "0"
			r[first] = rec
		},
		"a table less":   func(r map[int32]logical.TableRecord) { delete(r, first) },
		"a table more":   func(r map[int32]logical.TableRecord) { r[-1] = logical.TableRecord{DumpID: -1} },
		"another's name": func(r map[int32]logical.TableRecord) { rec := r[first]; rec.Table += "x"; r[first] = rec },
	} {
		changed := maps.Clone(records)
		change(changed)
		if err := checkRecords(archive, changed); !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("table list with %s: %v", name, err)
		}
	}
	totals := m.Totals
	totals.Rows++
	if err := checkTotals(totals, archive); !errors.Is(err, repo.ErrDamaged) {
		t.Errorf("totals with a row more: %v", err)
	}
	for name, change := range map[string]func(*repo.Index){
		"an entry less":        func(x *repo.Index) { x.Entries = x.Entries[1:] },
		"an entry moved":       func(x *repo.Index) { x.Entries[0].From++ },
		"another entry":        func(x *repo.Index) { x.Entries[0].DumpID++ },
		"a shorter head":       func(x *repo.Index) { x.HeadEnd-- },
		"another stream":       func(x *repo.Index) { x.Stream = "globals" },
		"a chunk moved":        func(x *repo.Index) { x.Chunks[0].Offset++ },
		"a chunk stretched":    func(x *repo.Index) { x.Chunks[0].Plain++ },
		"a chunk of an object": func(x *repo.Index) { x.Chunks[0].Object += 7 },
	} {
		x, err := p.Index(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := checkIndex(p.Manifest, archive, x); err != nil {
			t.Fatalf("index as it was written: %v", err)
		}
		change(x)
		if err := checkIndex(p.Manifest, archive, x); !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("index with %s: %v", name, err)
		}
	}
}

func TestObjectsOfAnotherPointAreFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	m := f.backup()
	other := f.backup()
	for i, o := range m.Objects {
		body, err := os.ReadFile(filepath.Join(f.dir, other.Ref().DataPrefix()+other.Objects[i].Name))
		if err != nil {
			t.Fatal(err)
		}
		undo := f.edit(m.Ref().DataPrefix()+o.Name, func([]byte) []byte { return body })
		report := f.verify(nil)
		if !errors.Is(report.Err(), ErrBad) || report.Bad[0].ID != m.ID {
			t.Errorf("%s of another point: %+v", o.Name, report)
		}
		undo()
	}
}

func TestAStoreThatCanNotBeReachedIsNoVerdictAboutABackup(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	m := f.backup()
	points, err := f.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	// A folder where a file should be can not be read: the store answers with an
	// error that is neither absence nor damage.
	path := filepath.Join(f.dir, m.Ref().DataPrefix()+m.Objects[0].Name)
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), Options{Repo: f.Repository, Points: points, Mark: true, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if errors.Is(report.Err(), objstore.ErrNotFound) || report.Checked+len(report.Unchecked) != 1 {
		t.Errorf("%+v", report)
	}
}

func TestAPointDeletedMeanwhileIsNotBad(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	m := f.backup()
	points, err := f.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(t.Context(), m.Ref(), repo.Tombstone{Deleted: time.Now()}); err != nil {
		t.Fatal(err)
	}
	report := f.verify(func(o *Options) { o.Points = points })
	if report.Err() != nil || report.Checked != 0 || len(report.Warnings) != 1 {
		t.Errorf("%+v", report)
	}
}

func TestClocksThatDisagreeAreWarnedAbout(t *testing.T) {
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	at := func(start, end, server time.Duration) *repo.Manifest {
		return &repo.Manifest{Start: now.Add(start), End: now.Add(end), Server: repo.Server{Clock: now.Add(server)}}
	}
	for _, c := range []struct {
		name string
		m    *repo.Manifest
		want string
	}{
		{"agreeing", at(-time.Hour, -time.Minute, -time.Hour), ""},
		{"future", at(time.Hour, 2*time.Hour, time.Hour), "in the future"},
		{"backwards", at(-time.Hour, -2*time.Hour, -time.Hour), "ends before it starts"},
		{"server behind", at(-time.Hour, -time.Minute, -3*time.Hour), "2h0m0s apart"},
		{"server ahead", at(-time.Hour, -time.Minute, time.Hour), "2h0m0s apart"},
	} {
		got := strings.Join(clocks(c.m, now), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
