package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// server is one PostgreSQL server; each test makes its own databases there.
var server *testenv.PostgresServer

func TestMain(m *testing.M) {
	code := 1
	var err error
	if os.Getenv(envDies) != "" {
		fmt.Fprintln(os.Stderr, dies(context.Background()))
		os.Exit(code)
	}
	if server, err = testenv.StartPostgres(context.Background(), "", testenv.PostgresOptions{Config: map[string]string{"max_connections": "200"}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// fixture is a repository in a directory, and a database that is backed up to it.
type fixture struct {
	*repo.Repository
	t        *testing.T
	dir      string
	database string
	scratch  string // where scratch clusters are made
	key      seal.Key
}

// newFixture makes a small shop in a database of its own.
func newFixture(t *testing.T, more ...string) *fixture {
	t.Helper()
	root := filepath.Join(t.TempDir(), "repo")
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	key := seal.NewKey()
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now(), Key: seal.Local{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	// A scratch server runs as another user, who may not enter t.TempDir().
	scratch, err := os.MkdirTemp("", "drill-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	f := &fixture{Repository: r, t: t, dir: root, database: "shop_" + suffix(), scratch: scratch, key: key}
	t.Cleanup(func() {
		left, err := os.ReadDir(scratch)
		if err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", scratch, left, err)
		}
		_ = os.RemoveAll(scratch)
	})
	server.CreateDatabase(t, f.database)
	server.Exec(t, f.database, append([]string{
		"CREATE TABLE orders (id serial PRIMARY KEY, customer text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())",
		"INSERT INTO orders (customer) SELECT 'customer ' || n FROM generate_series(1, 5000) n",
		"CREATE TABLE customers (name text PRIMARY KEY)", "INSERT INTO customers SELECT customer FROM orders",
		"CREATE VIEW recent AS SELECT * FROM orders WHERE created_at > now() - interval '1 day'",
	}, more...)...)
	return f
}

// keyFile has the key of the repository.
func (f *fixture) keyFile() string {
	f.t.Helper()
	name := filepath.Join(f.t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(f.key.Encode()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return name
}

func (f *fixture) target(database string) postgres.Target {
	f.t.Helper()
	t, err := postgres.ParseTarget(server.URL(database))
	if err != nil {
		f.t.Fatal(err)
	}
	return t
}

const source = "shop@db1"

// backup takes a backup of the database. Ids order by the second.
func (f *fixture) backup() *repo.Manifest {
	f.t.Helper()
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1010 * time.Millisecond)))
	result, err := backup.Run(f.t.Context(), backup.Options{
		Options: point.Options{Repo: f.Repository, Source: source, Self: repo.Self()}, Target: f.target(f.database), Globals: true,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return result.Manifest
}

// options of a drill into a scratch cluster.
func (f *fixture) options() Options {
	return Options{
		Repo: f.Repository, Source: source, Name: "weekly", By: "a test", Runner: "test", Host: "here",
		Drill: job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: f.scratch}}},
		Log:   slog.New(slog.NewTextHandler(f.t.Output(), nil)),
	}
}

// into makes it a drill into a database of the test's server.
func (f *fixture) into(o Options) Options {
	o.Drill.Into = job.DrillInto{Database: &job.DrillDatabase{}}
	o.Connect = func(context.Context) (postgres.Target, error) { return f.target("postgres"), nil }
	return o
}

// drill runs one and holds that its report is in the repository.
func (f *fixture) drill(o Options, want drillreport.Outcome) drillreport.Report {
	f.t.Helper()
	report, err := Run(f.t.Context(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	if report.Outcome != want {
		f.t.Fatalf("%s instead of %s: %s; warnings %q", report.Outcome, want, report.Reason, report.Warnings)
	}
	if (report.Reason == "") != (want == drillreport.Proven) {
		f.t.Errorf("%s: reason %q", want, report.Reason)
	}
	stored := f.reports()
	for _, s := range stored {
		if s.ID == report.ID {
			if s.Report == nil || s.Report.Outcome != want {
				f.t.Errorf("stored is %+v", s)
			}
			return report
		}
	}
	f.t.Errorf("report %s is not among the %d stored", report.ID, len(stored))
	return report
}

func (f *fixture) reports() []repo.DrillListed {
	f.t.Helper()
	list, err := f.DrillReports(f.t.Context(), repo.DrillFilter{})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// listed is how the listing knows a point, whatever became of its manifest.
func (f *fixture) listed(ref repo.Ref) repo.Listed {
	f.t.Helper()
	points, err := f.List(f.t.Context(), repo.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range points {
		if p.ID == ref.ID {
			return p
		}
	}
	f.t.Fatalf("%s is not listed", ref)
	return repo.Listed{}
}

// content is what a logical point is made of.
type content struct {
	archive, tables, globals []byte
	manifest                 *repo.Manifest
}

func (f *fixture) content(ref repo.Ref) content {
	f.t.Helper()
	p, err := f.OpenPoint(f.t.Context(), ref)
	if err != nil {
		f.t.Fatal(err)
	}
	read := func(stream string) []byte {
		body, err := p.Open(f.t.Context(), stream)
		if err != nil {
			f.t.Fatal(err)
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		if err != nil {
			f.t.Fatal(err)
		}
		return data
	}
	return content{read(logical.StreamArchive), read(logical.StreamTables), read(logical.StreamGlobals), p.Manifest}
}

// write commits a point of such contents: sealed and complete, as one that a
// faulty program would have made.
func (f *fixture) write(c content) repo.Ref {
	f.t.Helper()
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1010 * time.Millisecond)))
	ctx := f.t.Context()
	check := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	w, err := f.NewPoint(source, logical.Kind, time.Now(), repo.WriterOptions{})
	check(err)
	archive := pgarchive.NewReader(pgarchive.Events{})
	_, err = io.Copy(archive, bytes.NewReader(c.archive))
	check(err)
	s := w.Stream(ctx, logical.StreamArchive, 1)
	_, err = io.Copy(s, bytes.NewReader(c.archive))
	check(err)
	chunks, err := s.Close()
	check(err)
	index, err := json.Marshal(logical.MakeIndex(archive, chunks))
	check(err)
	check(w.WriteStream(ctx, repo.StreamIndex, index))
	check(w.WriteStream(ctx, logical.StreamTables, c.tables))
	check(w.WriteStream(ctx, logical.StreamGlobals, c.globals))
	m := *c.manifest
	m.End = time.Now()
	check(w.Commit(ctx, &m))
	return w.Ref()
}

// connectTo is a login to the server of a drill's database.
func connectTo(t *testing.T, url string) func(context.Context) (postgres.Target, error) {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context) (postgres.Target, error) { return to, nil }
}
