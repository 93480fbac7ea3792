package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// numbers are the metrics of a run by name, of all its lines.
func (e ended) numbers() map[string]float64 {
	found := map[string]float64{}
	for line := range strings.SplitSeq(e.stderr, "\n") {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) != nil || l["_aws"] == nil {
			continue
		}
		for name, v := range l {
			if number, ok := v.(float64); ok {
				found[name] = number
			}
		}
	}
	return found
}

// It would keep the alarm of the job silent, while nothing of the job is backed up.
func TestABackupOfSomethingElseIsNoSuccessOfTheJob(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	tree, other := t.TempDir(), t.TempDir()
	for _, folder := range []string{tree, other} {
		if err := os.WriteFile(filepath.Join(folder, "file"), []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j := told(t, p.job(job.KindFiles))
	j.Files, j.Metrics = &job.Files{Paths: []string{tree}}, job.MetricsEMF
	file := p.file(j)
	for _, by := range [][]string{
		{"--path", other, "--source", "scratch"}, {"--path", other}, {"--source", "scratch"}, {"--exclude", "*.log"}, {"--policy", "none"},
	} {
		got := p.run(l.env(), append([]string{"backup", "--no-rotate", "--job", file}, by...)...)
		if got.code != 0 && got.code != 3 || strings.Contains(got.stderr, "_aws") || !strings.Contains(got.stderr, `"because_of":"`+by[len(by)-2]+`"`) && by[0] != "--path" {
			t.Errorf("%v: %s", by, got)
		}
	}
	// In the shell of somebody who works on another repository.
	elsewhere := directory(t)
	if got := p.run(append(l.env(), "BACKUP_BUCKET="+elsewhere.url), "backup", "--job", file); got.code != 0 || !strings.Contains(got.stderr, `"because_of":"BACKUP_BUCKET"`) {
		t.Error(got)
	}
	if heard := l.all(); len(heard) > 0 {
		t.Errorf("told %v", heard)
	}
	// How it is done makes no difference.
	if got := p.run(l.env(), "backup", "--job", file, "--hold", "--verify", "stored", "--kind", "files", "--repository", p.url); got.code != 3 && got.code != 0 || got.numbers()["Succeeded"] != 1 || len(l.all()) == 0 {
		t.Errorf("told %v: %s", l.all(), got)
	}
}

// What it says may hold secrets.
func TestWhatAFailedProgramSaysStaysInTheLog(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	j := told(t, p.job(job.KindCommand))
	j.Command = &job.Command{Argv: []string{"sh", "-c", "echo begun; echo token=hunter2 >&2; exit 7"}}
	got := p.run(l.env(), "backup", "--job", p.file(j))
	if got.code != 1 || !strings.Contains(got.stderr, "sh failed (exit status 7): token=hunter2") {
		t.Fatal(got)
	}
	l.report(t)
	for path, body := range l.bodies {
		if strings.Contains(string(body), "hunter2") {
			t.Errorf("%s was told %s", path, body)
		}
	}
	for _, path := range []string{"/slack/SECRETTOKEN", "/hook/SECRETTOKEN"} {
		if body := string(l.bodies[path]); !strings.Contains(body, "sh failed (exit status 7); what it wrote to its error output is in the log of the run") {
			t.Errorf("%s was told %s", path, body)
		}
	}
}

func TestAProgramGetsNoSecretOfItsJob(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	j := told(t, p.job(job.KindCommand))
	j.Command = &job.Command{Argv: []string{"env"}}
	file := p.file(j)
	if got := p.run(append(l.env(), "OWN_TOKEN=kept"), "backup", "--job", file); got.code != 0 {
		t.Fatal(got)
	}
	got := p.run(nil, "cat", "latest", "--job", file)
	if !strings.Contains(got.out, "OWN_TOKEN=kept") || strings.Contains(got.out, "SECRETTOKEN") || strings.Contains(got.out, "HOOK_KEY") {
		t.Error(got)
	}
}

// Silence from the beginning is silence too.
func TestTheAgeOfNoBackupCountsFromThePolicy(t *testing.T) {
	t.Parallel()
	p := directory(t)
	document, err := policy.Parse([]byte(`{"format":1,"name":"old","objectives":{"rpo":"25h"},"retention":{"keep_last":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	made := time.Now().Add(-10 * 24 * time.Hour)
	if _, err := p.repo.PutPolicyRevision(t.Context(), 0, document, policy.Envelope{At: made, By: "a test", Loss: &policy.Loss{To: document.Digest()}}); err != nil {
		t.Fatal(err)
	}
	j := p.job(job.KindFreshness)
	j.Policy, j.Metrics = "old", job.MetricsEMF
	file := p.file(j)
	tenDays := func(code int) {
		t.Helper()
		got := p.run(nil, "status", "--job", file)
		if age := got.numbers()["Age"]; got.code != code || age < 240*3600 || age > 240*3600+60 {
			t.Errorf("age %v: %s", age, got)
		}
	}
	tenDays(4)
	// One source is fine, the only point of the other is bad.
	under := func(source string) repo.Ref {
		t.Helper()
		w, err := p.repo.NewPoint(source, "logical", time.Now().Add(-time.Hour), repo.WriterOptions{})
		if err == nil {
			err = w.WriteStream(t.Context(), "archive", []byte("what was backed up"))
		}
		if err == nil {
			err = w.Commit(t.Context(), &repo.Manifest{End: time.Now(), Policy: "old", PolicyRevision: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
		return w.Ref()
	}
	under("app@db1")
	if got := p.run(nil, "status", "--job", file); got.code != 0 || got.numbers()["Age"] > 3700 {
		t.Error(got)
	}
	if err := p.repo.Condemn(t.Context(), under("crm@db1"), repo.Mark{At: time.Now(), By: "a test", Why: "a test"}); err != nil {
		t.Fatal(err)
	}
	got := p.run(nil, "status", "--job", file)
	if got.code != 1 || !strings.Contains(got.stderr, `"Source":"crm@db1"`) {
		t.Error(got)
	}
	tenDays(1)
}
