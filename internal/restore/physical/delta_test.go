package physical_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// counted counts the bytes that are read of the main stream, and where.
type counted struct {
	objstore.Store
	mu    sync.Mutex
	bytes int64
	reads []string
	at    map[int64]int // how often each range begins there
}

func (c *counted) Get(ctx context.Context, key string, o objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	body, info, err := c.Store.Get(ctx, key, o)
	if err == nil && strings.Contains(key, "/archive.") {
		c.mu.Lock()
		c.reads = append(c.reads, fmt.Sprintf("%s %d+%d", filepath.Base(key), o.Offset, o.Length))
		c.at[o.Offset]++
		c.mu.Unlock()
		return &countedBody{body, c}, info, nil
	}
	return body, info, err
}

type countedBody struct {
	io.ReadCloser
	of *counted
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.of.mu.Lock()
	b.of.bytes += int64(n)
	b.of.mu.Unlock()
	return n, err
}

// counting opens the repository through a counter.
func (p *protected) counting(t testing.TB) (*repo.Repository, *counted) {
	t.Helper()
	store, err := dir.Open(p.place)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Store: store, at: map[int64]int{}}
	r, err := repo.Open(t.Context(), c, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

// filled makes tables of several sizes, with what does not compress.
func (p *protected) filled(t testing.TB) {
	t.Helper()
	p.Exec(t, "postgres", ledger, "INSERT INTO ledger (id) SELECT generate_series(1, 100)",
		"CREATE TABLE big AS SELECT i, md5(i::text) || md5((i * 7)::text) || md5((i * 13)::text) AS t FROM generate_series(1, 250000) i",
		"CREATE TABLE empty (id int)", "CREATE UNLOGGED TABLE volatile AS SELECT generate_series(1, 1000) id",
		"DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE TABLE small_%s AS SELECT generate_series(1, %s) id', i, i * 20); END LOOP; END $$", "CHECKPOINT")
}

func TestEveryByteIsReadOnceAndTheDirectoryIsAsTheServerSaid(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.filled(t)
	m := p.backup(t)
	for _, jobs := range []int{1, 4} {
		r, c := p.counting(t)
		o := p.options(t, filepath.Join(folder(t), "data"))
		o.Repo, o.Jobs = r, jobs
		result := p.run(t, o)
		if result.Files != m.Totals.Files || result.Bytes != m.Totals.Bytes || result.Reused != 0 || result.Point != m.Ref() {
			t.Errorf("%+v, the backup has %+v", result, m.Totals)
		}
		var stored int64
		for _, object := range m.Stream("archive") {
			stored += object.Size
		}
		if c.bytes > stored {
			t.Errorf("with %d readers %d bytes of %d were read: %v", jobs, c.bytes, stored, c.reads)
		}
		for at, n := range c.at {
			if n > 1 {
				t.Errorf("byte %d was asked for %d times: %v", at, n, c.reads)
			}
		}
		p.verified(t, o.Directory)
		for name, mode := range tree(t, o.Directory) {
			if !strings.HasPrefix(mode, "-rw-------") && !strings.HasPrefix(mode, "drwx------") {
				t.Errorf("%s has mode %s", name, mode)
			}
		}
		if left, _ := filepath.Glob(o.Directory + "/pgbackup_restore*"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestDeltaFetchesOnlyWhatDiffersAndRemovesTheRest(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.filled(t)
	p.backup(t)
	p.switched(t)
	r, c := p.counting(t)
	o := p.options(t, filepath.Join(folder(t), "data"))
	o.Repo = r
	p.run(t, o)
	whole := c.bytes

	// The server goes on; what it leaves is brought back.
	o.Start = true
	o.Directory = filepath.Join(folder(t), "started")
	p.run(t, o)
	p.askRestored(t, o, "WITH d AS (DELETE FROM ledger RETURNING 1) SELECT count(*) FROM d", new(int))
	p.askRestored(t, o, "SELECT pg_switch_wal()::text", new(string))
	stop, err := p.Command(t.Context(), "pg_ctl", "stop", "-m", "fast", "-D", o.Directory).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, stop)
	}
	outside := filepath.Join(folder(t), "victim")
	for file, text := range map[string]string{
		outside: "safe", filepath.Join(o.Directory, "base", "stranger"): "x", filepath.Join(o.Directory, "notes.txt"): "x",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(o.Directory, "base", "link")); err != nil {
		t.Fatal(err)
	}
	// A file that is another's as well.
	shared := filepath.Join(filepath.Dir(outside), "shared")
	if err := os.Link(filepath.Join(o.Directory, "postgresql.auto.conf"), shared); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(shared)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := physical.Run(t.Context(), o); !errors.Is(err, physical.ErrNotEmpty) {
		t.Errorf("without being asked to: %v", err)
	}
	c.bytes = 0
	o.Delta, o.Start = true, false
	plan, err := physical.Examine(t.Context(), o)
	if err != nil || plan.Reused < plan.Bytes*9/10 || plan.Removed < 3 {
		t.Errorf("%+v, %v", plan.Result, err)
	}
	result := p.run(t, o)
	if c.bytes > whole/2 || result.Reused+result.Fetched != result.Bytes || result.Reused != plan.Reused {
		t.Errorf("%d of %d bytes were read: %+v", c.bytes, whole, result)
	}
	p.verified(t, o.Directory)
	if text, err := os.ReadFile(outside); err != nil || string(text) != "safe" {
		t.Errorf("outside: %q %v", text, err)
	}
	if after, err := os.ReadFile(shared); err != nil || string(after) != string(before) {
		t.Errorf("what was shared has changed: %v", err)
	}
	for _, gone := range []string{"notes.txt", "base/stranger", "base/link"} {
		if _, err := os.Lstat(filepath.Join(o.Directory, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	o.Delta, o.Start = true, true
	if again := p.run(t, o); again.Fetched > again.Bytes/10 {
		t.Errorf("%+v", again)
	}
	if got := p.rows(t, o); len(strings.Fields(got)) != 100 {
		t.Error(got)
	}
}

func TestATablespaceGoesWhereItIsToldTo(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	one, two := folder(t), folder(t)
	p.Exec(t, "postgres", "CREATE TABLESPACE one LOCATION '"+one+"'", "CREATE TABLESPACE two LOCATION '"+two+"'", ledger, "ALTER TABLE ledger SET TABLESPACE one",
		"CREATE TABLE other TABLESPACE two AS SELECT generate_series(1, 5000) id", "INSERT INTO ledger (id) VALUES (1)")
	m := p.backup(t)
	p.Exec(t, "postgres", "INSERT INTO ledger (id) VALUES (2)")
	p.switched(t)
	oids := map[string]string{}
	for _, s := range m.Physical.Tablespaces {
		oids[s.Location] = fmt.Sprint(s.OID)
	}

	// The first server has them: nothing may be written there.
	o := p.options(t, filepath.Join(folder(t), "data"))
	if _, err := physical.Run(t.Context(), o); !errors.Is(err, physical.ErrNotEmpty) || !strings.Contains(err.Error(), "--tablespace-map") {
		t.Errorf("%v", err)
	}
	for name, spaces := range map[string]map[string]string{
		"not one of them":     {"/nowhere": folder(t)},
		"relative":            {one: "here"},
		"in the directory":    {one: o.Directory + "/space"},
		"two in one":          {one: folder(t), two: ""},
		"around it":           {one: filepath.Dir(o.Directory)},
		"one that is in use":  {one: two},
		"one inside of other": {one: o.Directory + "-s", two: o.Directory + "-s/deeper"},
	} {
		o := o
		if name == "two in one" {
			spaces[two] = spaces[one]
		}
		o.Tablespaces, o.TablespaceDir = spaces, filepath.Join(filepath.Dir(o.Directory), "rest")
		if _, err := physical.Run(t.Context(), o); !errors.Is(err, physical.ErrOptions) && !errors.Is(err, physical.ErrNotEmpty) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(o.Directory); err == nil {
			t.Fatalf("%s: it began", name)
		}
	}

	rest := filepath.Join(folder(t), "rest")
	moved := folder(t)
	o.Tablespaces, o.TablespaceDir, o.Start = map[string]string{oids[two]: moved}, rest, true
	p.run(t, o)
	if got := p.rows(t, o); got != "1 2" {
		t.Error(got)
	}
	var count int
	p.askRestored(t, o, "SELECT count(*) FROM other", &count)
	if count != 5000 {
		t.Error(count)
	}
	for oid, want := range map[string]string{oids[one]: filepath.Join(rest, oids[one]), oids[two]: moved} {
		if to, err := os.Readlink(filepath.Join(o.Directory, "pg_tblspc", oid)); err != nil || to != want {
			t.Errorf("%s leads to %s, %v", oid, to, err)
		}
	}
	if out, err := p.Command(t.Context(), "pg_ctl", "stop", "-D", o.Directory).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// Brought up to date without saying it again, they stay where they are.
	o.Tablespaces, o.TablespaceDir, o.Delta = nil, "", true
	stranger := filepath.Join(moved, "not the server's")
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, o)
	if got := p.rows(t, o); got != "1 2" {
		t.Error(got)
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Error(err)
	}
}

// What is in the way is refused, and stays as it is.
func TestADirectoryThatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	p.backup(t)
	stranger := testenv.Postgres(t)
	copied := filepath.Join(folder(t), "copy")
	if err := os.CopyFS(copied, os.DirFS(stranger.DataDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(copied, "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	papers := folder(t)
	if err := os.WriteFile(filepath.Join(papers, "thesis.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	stale := folder(t)
	if err := os.WriteFile(filepath.Join(stale, "postmaster.pid"), []byte("999999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		dir  string
		want error
	}{
		"its own running server": {p.DataDir, physical.ErrRunning},
		"another running server": {stranger.DataDir, physical.ErrRunning},
		"another system":         {copied, physical.ErrForeign},
		"no data directory":      {papers, physical.ErrForeign},
		"a server, maybe":        {stale, physical.ErrRunning},
		"a file":                 {filepath.Join(papers, "thesis.txt"), physical.ErrOptions},
		"the root":               {"/", physical.ErrOptions},
	} {
		var was map[string]string
		if errors.Is(x.want, physical.ErrForeign) {
			was = tree(t, x.dir)
		}
		for _, delta := range []bool{true, false} {
			o := p.options(t, x.dir)
			o.Delta = delta
			want := x.want
			if !delta && errors.Is(want, physical.ErrForeign) {
				want = physical.ErrNotEmpty
			}
			if _, err := physical.Run(t.Context(), o); !errors.Is(err, want) {
				t.Errorf("%s (delta %v): %v", name, delta, err)
			}
		}
		if was != nil && !maps.Equal(was, tree(t, x.dir)) {
			t.Errorf("%s: it has changed: %v", name, slices.Sorted(maps.Keys(tree(t, x.dir))))
		}
	}
}
