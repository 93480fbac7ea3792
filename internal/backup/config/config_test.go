package config_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/config"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func newRepo(t *testing.T) *repo.Repository {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func target(t *testing.T, url string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func names(c config.Configuration) []string {
	var list []string
	for _, f := range c.Files {
		list = append(list, f.Name)
	}
	return list
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAServersOwnFilesAreReadWithAllTheyInclude(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	conn := pg.Connect(t, "postgres")
	var data string
	if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(data + "/postgresql.conf")
	if err != nil {
		t.Fatal(err)
	}
	put(t, data+"/postgresql.conf", string(conf)+"\ninclude_dir 'conf.d' # more\ninclude_if_exists = 'none.conf'\n")
	put(t, data+"/conf.d/10.conf", "work_mem = '5MB'\n")
	put(t, data+"/conf.d/.hidden.conf", "")
	put(t, data+"/conf.d/readme", "")
	pg.Exec(t, "postgres", "SELECT pg_reload_conf()", "ALTER DATABASE postgres SET search_path = app")
	found, err := config.Read(t.Context(), config.Server{Target: target(t, pg.URL("postgres"))}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimPrefix(data, "/")
	for _, want := range []string{root + "/postgresql.conf", root + "/conf.d/10.conf", root + "/pg_hba.conf", root + "/pg_ident.conf", root + "/postgresql.auto.conf", "pgbackup/pg_settings.jsonl", "pgbackup/pg_db_role_setting.jsonl"} {
		if !slices.Contains(names(found), want) {
			t.Errorf("%s is missing in %v", want, names(found))
		}
	}
	if len(found.Files) != 7 || found.Server.SystemIdentifier == "" || len(found.Skipped) > 0 {
		t.Errorf("%v %+v %v", names(found), found.Server, found.Skipped)
	}
	for _, f := range found.Files {
		if f.Name == "pgbackup/pg_db_role_setting.jsonl" && !strings.Contains(string(f.Data), `{"database":"postgres","setting":"search_path=app"}`) {
			t.Errorf("%s", f.Data)
		}
	}
}

// The grants that the error names are enough.
func TestARoleWithoutRightsIsToldWhatToGrant(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE ROLE keeper LOGIN PASSWORD 'secret'")
	url := "postgres://keeper:secret@" + pg.Addr() + "/postgres"
	o := config.Options{Options: point.Options{Repo: newRepo(t), Source: "db", Self: repo.Self()}, From: config.Server{Target: target(t, url)}}
	_, err := config.Run(t.Context(), o)
	if !errors.Is(err, postgres.ErrConfigDenied) {
		t.Fatal(err)
	}
	if points, err := o.Repo.List(t.Context(), repo.Filter{}); err != nil || len(points) > 0 {
		t.Errorf("%d points are there: %v", len(points), err)
	}
	text := err.Error()
	_, first, _ := strings.Cut(text, "GRANT pg_read_all")
	first, second, _ := strings.Cut("GRANT pg_read_all"+first, " and, in database \"postgres\", ")
	second, _, _ = strings.Cut(second, "; on RDS")
	pg.Exec(t, "postgres", first, second)
	result, err := config.Run(t.Context(), o)
	if err != nil {
		t.Fatalf("after %s; %s: %v", first, second, err)
	}
	if result.Manifest.Totals.Files < 5 || result.Manifest.Server.Version == "" {
		t.Errorf("%+v", result.Manifest)
	}
}

func TestADirectoryIsReadAsItsServerWould(t *testing.T) {
	t.Parallel()
	etc, data := t.TempDir(), t.TempDir()
	put(t, etc+"/postgresql.conf", "data_directory = '"+data+"'\nhba_file = '"+etc+"/hba/pg_hba.conf'\ninclude 'shared.conf'\n# include 'comment.conf'\n")
	put(t, etc+"/shared.conf", "include_dir = 'more'\n")
	put(t, etc+"/more/a.conf", "include '../postgresql.conf'\n") // round and round
	put(t, etc+"/hba/pg_hba.conf", "local @dbs.txt all peer # @not.txt\ninclude_if_exists extra.conf\ninclude \"with space.conf\"\n")
	put(t, etc+"/hba/dbs.txt", "app, @more.txt\n")
	put(t, etc+"/hba/more.txt", "other\n")
	put(t, etc+"/hba/with space.conf", "host all all all scram-sha-256\n")
	put(t, data+"/postgresql.auto.conf", "work_mem = '6MB'\n")
	put(t, data+"/PG_VERSION", "15")
	found, err := config.Read(t.Context(), config.Directory{Path: etc}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range names(found) {
		got = append(got, filepath.Base(n))
	}
	slices.Sort(got)
	if want := "a.conf dbs.txt more.txt pg_hba.conf postgresql.auto.conf postgresql.conf shared.conf with space.conf"; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	if len(found.Skipped) != 1 || !strings.HasSuffix(found.Skipped[0].What, "pg_ident.conf") {
		t.Errorf("%v", found.Skipped)
	}
}

func TestAFileThatTheServerMayNotReadIsNamedAsThat(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	conn := pg.Connect(t, "postgres")
	var data string
	if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	// Nobody opens a directory as a file, whoever runs the server.
	if err := os.MkdirAll(data+"/conf.d/10.conf", 0o755); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "ALTER SYSTEM SET work_mem = '4MB'")
	conf, err := os.OpenFile(data+"/postgresql.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conf.WriteString("\ninclude 'conf.d/10.conf'\n")
	if err := errors.Join(err, conf.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = config.Read(t.Context(), config.Server{Target: target(t, pg.URL("postgres"))}, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "conf.d/10.conf") || strings.Contains(err.Error(), "GRANT") {
		t.Error(err)
	}
}

func TestWhatIsNoConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for what, make := range map[string]func(string){
		"no such file or directory": func(string) {},
		"is empty":                  func(d string) { put(t, d+"/postgresql.conf", "") },
		"which no configuration has": func(d string) {
			put(t, d+"/postgresql.conf", strings.Repeat("#", 9<<20))
		},
		"it is no file": func(d string) {
			if err := os.Symlink("/dev/zero", d+"/postgresql.conf"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		etc := t.TempDir()
		make(etc)
		o := config.Options{Options: point.Options{Repo: newRepo(t), Source: "db", Self: repo.Self()}, From: config.Directory{Path: etc}}
		if _, err := config.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// group is a parameter group as RDS answers.
type group struct{ err error }

func (g group) Parameters(_ context.Context, id string, _ bool) (string, []config.Parameter, error) {
	return "acme-pg15", []config.Parameter{{Name: "work_mem", Value: "4096", Source: "user", Apply: "immediate"}, {Name: "xmlbinary"}}, g.err
}

func TestAParameterGroupIsAConfiguration(t *testing.T) {
	t.Parallel()
	o := config.Options{Options: point.Options{Repo: newRepo(t), Source: "acme", Self: repo.Self()}, From: config.ParameterGroup{ID: "acme", From: group{}}}
	result, err := config.Run(t.Context(), o)
	if err != nil || result.Manifest.Origin.ParameterGroup != "acme-pg15" || result.Manifest.Totals.Files != 1 {
		t.Errorf("%+v %v", result.Manifest, err)
	}
	o.From = config.ParameterGroup{ID: "acme", From: group{fs.ErrPermission}}
	if _, err := config.Run(t.Context(), o); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}
