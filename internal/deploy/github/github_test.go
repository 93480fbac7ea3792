package github_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rhysd/actionlint"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/github"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ref(s string) secretref.Ref {
	r, err := secretref.Parse(s)
	if err != nil {
		panic(err)
	}
	return r
}

func nightly() github.Spec {
	return github.Spec{
		Spec: deploy.Spec{
			Job: job.Job{
				Format: job.Format, Name: "nightly", Kind: job.KindLogical, Repository: "s3://acme-pg-backups/prod?region=us-east-1", Policy: "prod",
				KeyRef:   ref("secretsmanager:acme/backup-key"),
				Logical:  &job.Logical{DatabaseURLRef: ref("env:DATABASE_URL")},
				Schedule: &job.Schedule{Cron: "0 2 * * *"},
			},
			Runner: deploy.Runner{
				Repository: job.RepositoryURL{Bucket: "acme-pg-backups", Prefix: "prod", Region: "us-east-1"},
				SHA256:     map[string]string{"x86_64": strings.Repeat("9c41d2e8", 8), "arm64": strings.Repeat("0a1b2c3d", 8)},
			},
		},
		Config: github.Config{
			Repository: "acme/infrastructure", RoleARN: "arn:aws:iam::111122223333:role/backup",
			Secrets: map[string]string{"DATABASE_URL": "PRODUCTION_DATABASE_URL"},
		},
	}
}

func cases() map[string]github.Spec {
	full := nightly()
	full.Job.Schedule = &job.Schedule{Cron: "30 1 * * 1-5", Timezone: "Asia/Kolkata"}
	full.Config.Branch, full.Config.Region, full.Config.PostgresVersion = "trunk", "eu-west-1", 18
	full.Config.Architecture, full.Config.SlackSecret, full.Config.Timeout = "arm64", "SLACK_WEBHOOK", 4*time.Hour
	full.Config.Environment = map[string]string{"PGAPPNAME": `it's "backup": #1`, "PGSSLMODE": "on"}
	verify := nightly()
	verify.Job.Kind, verify.Job.Logical, verify.Config.Secrets = job.KindVerify, nil, nil
	verify.Config.Disabled = true
	drill := nightly()
	drill.Job.Kind, drill.Job.Logical, drill.Config.Secrets, drill.Config.PostgresVersion = job.KindDrill, nil, nil, 16
	drill.Job.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
	return map[string]github.Spec{"nightly": nightly(), "full": full, "verify": verify, "drill": drill}
}

func TestWorkflowsAreTheGoldenOnes(t *testing.T) {
	for name, spec := range cases() {
		t.Run(name, func(t *testing.T) {
			r, err := github.Render(spec)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Workflow + "# trusted to take on the role:\n" + r.TrustPolicy + "\n"
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("differs (-golden +rendered):\n%s", diff)
			}
			if r.Path != ".github/workflows/pgbackup-nightly.yml" {
				t.Errorf("path %s", r.Path)
			}
		})
	}
}

func TestActionlintFindsNothing(t *testing.T) {
	t.Parallel()
	for name, spec := range cases() {
		r, err := github.Render(spec)
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		linter, err := actionlint.NewLinter(&said, &actionlint.LinterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found, err := linter.Lint("workflow.yml", []byte(r.Workflow), nil)
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %v\n%s", name, err, said.String())
		}
	}
}

func TestOnlyTheDefaultBranchOfTheRepositoryMayTakeOnTheRole(t *testing.T) {
	t.Parallel()
	r, err := github.Render(cases()["full"])
	if err != nil {
		t.Fatal(err)
	}
	d, err := iampolicy.Parse([]byte(r.TrustPolicy))
	if err != nil || !json.Valid([]byte(r.TrustPolicy)) {
		t.Fatal(err)
	}
	s := d.Statements[0]
	if got := s.Conditions["StringLike"]["token.actions.githubusercontent.com:sub"]; len(got) != 1 || got[0] != "repo:acme/infrastructure:ref:refs/heads/trunk" {
		t.Errorf("subjects %q", got)
	}
	if got := s.Principals["Federated"]; len(got) != 1 || got[0] != "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" {
		t.Errorf("principal %q", got)
	}
}

func TestWhatGitHubCannotRunIsRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*github.Spec){
		`give timezone = "UTC" and the hours as seen there`:                                                                       func(s *github.Spec) { s.Job.Schedule.Timezone = "Europe/Berlin" },
		`logical.database_url_ref = "env:DATABASE_URL" cannot be read on github_actions: say which GitHub secret has it: secrets`: func(s *github.Spec) { s.Config.Secrets = nil },
		`key_ref = "file:/etc/key" cannot be read on github_actions: the machine is new for every run`:                            func(s *github.Spec) { s.Job.KeyRef = ref("file:/etc/key") },
		"has no files to back up": func(s *github.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.Files = job.KindFiles, nil, &job.Files{Paths: []string{"/srv"}}
		},
		`logical.server.sslcert = "/c" is not there`: func(s *github.Spec) { s.Job.Logical = &job.Logical{Server: job.Server{SSLCert: "/c", SSLKey: "/k"}} },
		"runs all the time, and a run of a workflow ends": func(s *github.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.Schedule, s.Job.WAL = job.KindWAL, nil, nil, &job.WAL{Mode: job.WALReceive, Server: job.Server{Host: "db"}}
		},
		`mode = "push" has no place there`: func(s *github.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.WAL = job.KindWAL, nil, &job.WAL{Mode: job.WALPush, Server: job.Server{Host: "db"}}
		},
		"role_arn is missing": func(s *github.Spec) { s.Config.RoleARN = "" },
		`repository: "infrastructure": give the repository of the workflow`: func(s *github.Spec) { s.Config.Repository = "infrastructure" },
		"not beginning with GITHUB_":                                        func(s *github.Spec) { s.Config.SlackSecret = "GITHUB_TOKEN" },
		"which GitHub would evaluate":                                       func(s *github.Spec) { s.Config.Environment = map[string]string{"A": "${{ secrets.OTHER }}"} },
		"whole minutes from 15m to 6h":                                      func(s *github.Spec) { s.Config.Timeout = 7 * time.Hour },
		"is a directory of one machine":                                     func(s *github.Spec) { s.Job.Repository = "file:///var/backups/pg" },
		"DATABASE_URL is in environment and in secrets":                     func(s *github.Spec) { s.Config.Environment = map[string]string{"DATABASE_URL": "x"} },
	} {
		spec := nightly()
		change(&spec)
		if _, err := github.Render(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	spec := nightly()
	spec.Job.Schedule = &job.Schedule{Cron: "0 2 * * *", Timezone: "Europe/Berlin"}
	if _, err := github.Render(spec); !errors.Is(err, schedule.ErrNotThere) {
		t.Errorf("a zone with summer time: %v", err)
	}
}
