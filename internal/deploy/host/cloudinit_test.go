package host_test

import (
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shelltest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// userData is what cloud-init reads of user data.
type userData struct {
	WriteFiles []struct {
		Path, Permissions, Content string
	} `json:"write_files"`
	Runcmd [][]string `json:"runcmd"`
}

func TestAMachineThatIsMadeFetchesTheRunnerChecksItAndInstallsTheJob(t *testing.T) {
	t.Parallel()
	r := shelltest.New(t, []byte("#!/bin/sh\necho \"ran $*\"\n"))
	fetch := &host.Fetch{JobURL: "s3://b/jobs/nightly/1.json?region=us-east-1&endpoint=http://x", Programs: map[string]shell.Program{}}
	for _, arch := range []string{"x86_64", "arm64"} {
		url, sum, err := r.Runner.Object(arch)
		if err != nil {
			t.Fatal(err)
		}
		fetch.Programs[arch] = shell.Program{URL: url, SHA256: sum, Region: r.Runner.Repository.Region, Endpoint: r.Runner.Repository.Endpoint}
	}
	to := filepath.Join(t.TempDir(), "it's new", "pgbackup-runner")
	rendered, err := host.Render(host.Spec{
		Job: job.Job{
			Format: job.Format, Name: "nightly", Kind: job.KindRotate, Policy: "prod", Repository: r.Runner.Repository.String(),
			Schedule: &job.Schedule{Cron: "0 2 * * *"},
		},
		JobPath: "/etc/pgbackup/nightly.job.json", Runner: to, User: "postgres", EnvironmentFile: "/etc/pg backup.env", Fetch: fetch,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(rendered.CloudInit, "#cloud-config\n") {
		t.Errorf("cloud-init does not take it for its own: %.40s", rendered.CloudInit)
	}
	var data userData
	if err := yaml.UnmarshalStrict([]byte(rendered.CloudInit), &data); err != nil {
		t.Fatal(err)
	}
	file := data.WriteFiles[0]
	if len(data.Runcmd) != 1 || data.Runcmd[0][0] != file.Path || file.Permissions != "0755" {
		t.Fatalf("%+v is not what is run: %+v", file, data.Runcmd)
	}
	for _, sh := range []string{"dash", "bash"} {
		code, out := r.Run(t, shelltest.Command{Argv: []string{sh, "-c", file.Content}})
		if want := "ran install --job " + fetch.JobURL + " --user postgres --environment-file /etc/pg backup.env\n"; code != 0 || out != want {
			t.Errorf("%s: exit code %d\n%s\nwant %s", sh, code, out, want)
		}
	}
	r.Put(t, []byte("#!/bin/sh\necho evil\n"))
	if code, out := r.Run(t, shelltest.Command{Argv: []string{"dash", "-c", file.Content}}); code != 2 || strings.Contains(out, "ran ") || strings.Contains(out, "evil") {
		t.Errorf("a runner that was tampered with: exit code %d\n%s", code, out)
	}
}
