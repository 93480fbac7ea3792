package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Many hosts have one job file, and must not rotate one another's points away.
func TestEachMachineOfAJobHasASourceOfItsOwn(t *testing.T) {
	t.Parallel()
	p, tree := directory(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "postgresql.conf"), []byte("port = 5432\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, command, config := p.job(job.KindFiles), p.job(job.KindCommand), p.job(job.KindConfig)
	files.Files = &job.Files{Paths: []string{tree}}
	command.Command = &job.Command{Argv: []string{"echo", "output"}}
	config.Config = &job.Config{Directory: tree}
	for _, j := range []job.Job{files, command, config} {
		file := p.file(j)
		for source, env := range map[string][]string{
			j.Name + "@" + thisHost(): nil,
			j.Name:                    {"KUBERNETES_SERVICE_HOST=10.0.0.1"},
		} {
			// A configuration without pg_hba.conf is warned of.
			if got := p.run(env, "backup", "--job", file); !strings.Contains(got.out, "Backed up "+source+" as") {
				t.Errorf("%s: %s", source, got)
			}
		}
		if got := p.run(nil, "show", "latest", "--job", file); got.code != 0 || !strings.Contains(got.out, j.Name+"@"+thisHost()) {
			t.Errorf("%s: %s", j.Name, got)
		}
		named := j
		named.Source = "main"
		if got := p.run(nil, "backup", "--job", p.file(named)); !strings.Contains(got.out, "Backed up main as") {
			t.Errorf("%s: %s", j.Name, got)
		}
	}
}

func TestTheLatestOfSeveralMachinesIsNotGuessed(t *testing.T) {
	t.Parallel()
	p := directory(t)
	j := p.job(job.KindCommand)
	j.Command = &job.Command{Argv: []string{"echo", "output"}}
	file := p.file(j)
	other := func(host string) {
		t.Helper()
		w, err := p.repo.NewPoint(j.Name+"@"+host, string(j.Kind), time.Now().Add(-time.Hour), repo.WriterOptions{})
		if err == nil {
			err = w.WriteStream(t.Context(), "output", []byte("of "+host))
		}
		if err == nil {
			err = w.Commit(t.Context(), &repo.Manifest{End: time.Now(), Policy: "prod", PolicyRevision: 1, Origin: &repo.Origin{Host: host}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(code int, text string, args ...string) {
		t.Helper()
		if got := p.run(nil, append(args, "--job", file)...); got.code != code || !strings.Contains(got.out+got.stderr, text) {
			t.Errorf("%v: %s\nwant %d, %s", args, got, code, text)
		}
	}
	other("web1")
	want(0, "of web1", "cat", "latest")
	other("web2")
	want(2, "latest could be of several machines (nightly-command@web1, nightly-command@web2): say which with --source", "cat", "latest")
	want(0, "of web2", "cat", "latest", "--source", j.Name+"@web2")
	want(0, "Backed up "+j.Name+"@"+thisHost(), "backup")
	want(0, "output", "cat", "latest")
	want(0, "delete 0 of 3", "rotate", "--dry-run")
}
