package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

func TestAJobFileInABucketIsRunAsIfItWereHere(t *testing.T) {
	t.Parallel()
	p := bucket(t)
	p.commit("app@db1", time.Hour, 2*time.Hour, 3*time.Hour)
	got := p.run(nil, "rotate", "--job", p.upload(p.job(job.KindRotate)))
	if got.code != 0 || !strings.Contains(got.out, "Deleted 2 of 3") {
		t.Error(got)
	}
}

func TestAJobFileThatSomebodyChangedIsRefused(t *testing.T) {
	t.Parallel()
	p := bucket(t)
	p.commit("app@db1", time.Hour, 2*time.Hour)
	good := p.encode(p.job(job.KindRotate))
	changed := bytes.Replace(good, []byte(`"prod"`), []byte(`"test"`), 1)
	for name, c := range map[string]struct {
		url  string
		code int
		want string
	}{
		"changed":   {p.put(job.Key("nightly-rotate", good), changed), 2, "is not the one that was deployed"},
		"not there": {p.url + "", 2, "job file"},
		"no job":    {p.put("jobs/other.json", []byte("{}")), 2, "job file s3://"},
		"too large": {p.put("jobs/large.json", make([]byte, maxJobFile+1)), 1, "that is no job file"},
	} {
		if name == "not there" {
			c.url, c.code, c.want = strings.Replace(c.url, "/prod?", "/prod/jobs/nightly/0.json?", 1), 4, "object not found"
		}
		got := p.run(nil, "rotate", "--job", c.url)
		if got.code != c.code || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s: %s\nwant %d, %s", name, got, c.code, c.want)
		}
	}
	if got := p.run(nil, "list", "--repository", p.url, "--json"); len(got.document(t)["points"].([]any)) != 2 {
		t.Errorf("a job that was refused did something: %s", got)
	}
}

func TestInstallBringsAJobFromABucketOntoTheMachine(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is not on PATH: install systemd (apt-get install systemd)")
	}
	p := bucket(t)
	j := p.job(job.KindRotate)
	j.Schedule = &job.Schedule{Cron: "0 2 * * *"}
	at, units, jobs := p.upload(j), t.TempDir(), filepath.Join(t.TempDir(), "etc", "pgbackup")
	install := func(more ...string) ended {
		return p.run(nil, append([]string{"install", "--job", at, "--with", "systemd", "--folder", units, "--job-directory", jobs}, more...)...)
	}
	if got := install("--dry-run"); got.code != 0 || !strings.Contains(got.out, "# "+jobs+"/nightly-rotate.job.json") {
		t.Error(got)
	}
	if entries, _ := os.ReadDir(units); len(entries) > 0 || exists(jobs) {
		t.Error("a dry run wrote something")
	}
	for range 2 { // again is fine
		if got := install(); got.code != 0 {
			t.Fatal(got)
		}
	}
	path := filepath.Join(jobs, "nightly-rotate.job.json")
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, p.encode(j)) {
		t.Errorf("%v: %s", err, data)
	}
	service := filepath.Join(units, "pgbackup-nightly-rotate.service")
	if text, err := os.ReadFile(service); err != nil || !strings.Contains(string(text), "rotate --job "+path) || strings.Contains(string(text), "s3://") {
		t.Errorf("%v: %s", err, text)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", service, filepath.Join(units, "pgbackup-nightly-rotate.timer")).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// What it wrote works without the bucket's copy of the job.
	if got := p.run(nil, "rotate", "--job", path); got.code != 0 {
		t.Error(got)
	}
	if got := install("--remove"); got.code != 0 || exists(path) || exists(service) {
		t.Error(got)
	}
}
