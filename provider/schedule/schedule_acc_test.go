package schedule_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const address = "pgbackup_schedule.nightly"

// site is the folders of one test.
type site struct{ repository, jobs, systemd, cron string }

func newSite(t *testing.T) site {
	t.Helper()
	top := t.TempDir()
	s := site{filepath.Join(top, "repository"), filepath.Join(top, "jobs"), filepath.Join(top, "systemd"), filepath.Join(top, "cron.d")}
	for _, d := range []string{s.systemd, s.cron} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const logical = `job = {
    logical = {
      databases = ["app"]
      server    = { host = "db.example.org", user = "backup", password_ref = "env:PGPASSWORD", sslmode = "verify-full" }
    }
  }`

// config of the schedule; its job file is written to jobs, and extra is what
// else run_on.host says.
func (s site) config(jobs, cron, job, extra string) string {
	return providertest.Repository(s.repository) + fmt.Sprintf(`
resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  retention  = { keep_daily = 30 }
}

resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = pgbackup_policy.prod.id
  cron   = %q
  %s
  run_on = {
    host = {
      directory   = %q
      runner_path = "/usr/local/bin/pgbackup-runner"
      %s
    }
  }
}
`, cron, job, jobs, extra)
}

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func remove(t *testing.T, paths ...string) func() {
	return func() {
		for _, p := range paths {
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// empty reports what is left in folders.
func empty(dirs ...string) func() error {
	return func() error {
		for _, d := range dirs {
			entries, err := os.ReadDir(d)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if len(entries) > 0 {
				return fmt.Errorf("%s still has %s", d, entries[0].Name())
			}
		}
		return nil
	}
}

func TestAccSchedule_onAHostWithSystemd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	units := fmt.Sprintf("systemd_directory = %q\n user = \"postgres\"\n randomized_delay = \"5m\"", s.systemd)
	config := s.config(s.jobs, "0 2 * * *", logical, units)
	jobFile := filepath.Join(s.jobs, "nightly.job.json")
	service, timer := filepath.Join(s.systemd, "pgbackup-nightly.service"), filepath.Join(s.systemd, "pgbackup-nightly.timer")
	edit := func(path, from, to string) func() {
		return func() {
			if err := os.WriteFile(path, []byte(strings.Replace(read(t, path), from, to, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	drift := func(name string, damage func()) resource.TestStep {
		return resource.TestStep{PreConfig: func() { t.Log(name); damage() }, Config: config, ConfigPlanChecks: action(plancheck.ResourceActionUpdate)}
	}
	later := s.config(s.jobs, "30 3 * * *", logical, units)
	moved := s.config(s.jobs+"2", "30 3 * * *", logical, units)
	providertest.RunWith(t, empty(s.jobs, s.jobs+"2", s.systemd),
		resource.TestStep{
			Config: config,
			// The repository does not exist yet, and still all is known.
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(address, tfjsonpath.New("job_path"), knownvalue.StringExact(jobFile)),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("systemd_timer"), knownvalue.NotNull()),
			}},
		},
		resource.TestStep{
			PreConfig: func() {
				j, err := job.Parse([]byte(read(t, jobFile)))
				if err != nil || j.Policy != "prod" || j.Repository != "file://"+s.repository || j.Logical.Server.PasswordRef.String() != "env:PGPASSWORD" {
					t.Errorf("the runner reads %+v, %v", j, err)
				}
				if text := read(t, service); !strings.Contains(text, "User=postgres\n") || !strings.Contains(text, "SuccessExitStatus=3\n") {
					t.Errorf("service: %s", text)
				}
				if text := read(t, timer); !strings.Contains(text, "OnCalendar=*-*-* 02:00:00 UTC\n") || !strings.Contains(text, "RandomizedDelaySec=300s\n") {
					t.Errorf("timer: %s", text)
				}
			},
			Config: config, ConfigPlanChecks: emptyPlan(),
		},
		drift("job file deleted", remove(t, jobFile)),
		drift("job file edited", edit(jobFile, `"app"`, `"other"`)),
		drift("service edited", edit(service, "User=postgres", "User=root")),
		drift("timer deleted", remove(t, timer)),
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
		resource.TestStep{
			PreConfig: remove(t, jobFile, service, timer),
			Config:    config, ConfigPlanChecks: action(plancheck.ResourceActionCreate),
		},
		resource.TestStep{Config: later, ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{
			PreConfig: func() {
				if text := read(t, timer); !strings.Contains(text, "03:30:00 UTC\n") {
					t.Errorf("timer: %s", text)
				}
			},
			Config: moved, ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := empty(s.jobs)(); err != nil {
					t.Error(err)
				}
				if text := read(t, service); !strings.Contains(text, s.jobs+"2/nightly.job.json") {
					t.Errorf("service: %s", text)
				}
			},
			ResourceName: address, ImportState: true, ImportStateVerify: true,
			ImportStateId: s.jobs + "2/nightly.job.json?systemd_directory=" + s.systemd,
			// In no file: the next plan sets them in place.
			ImportStateVerifyIgnore: []string{"job_digest", "cron_line", "run_on.host.runner_path"},
		},
	)
}

func TestAccSchedule_onAHostWithCron(t *testing.T) {
	t.Setenv("TZ", "UTC")
	s := newSite(t)
	config := s.config(s.jobs, "@daily", "job = {\n rotate = {}\n }", fmt.Sprintf("cron_directory = %q", s.cron))
	file := filepath.Join(s.cron, "pgbackup-nightly")
	line := "0 0 * * * root /usr/local/bin/pgbackup-runner rotate --job " + s.jobs + "/nightly.job.json\n"
	providertest.RunWith(t, empty(s.jobs, s.cron),
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				if text := read(t, file); !strings.HasSuffix(text, line) {
					t.Errorf("cron: %s", text)
				}
			},
			Config: config, ConfigPlanChecks: emptyPlan(),
		},
		resource.TestStep{PreConfig: remove(t, file), Config: config, ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{
			PreConfig: func() { read(t, file) },
			Config:    strings.Replace(config, `cron   =`, "timezone = \"Asia/Tokyo\"\n cron =", 1), PlanOnly: true, ExpectError: providertest.Message("cron knows no time zone but the host's"),
		},
		// Without a folder the texts are attributes only.
		resource.TestStep{
			Config: s.config(s.jobs, "@daily", "job = {\n verify = {}\n }", ""),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("cron_line"), knownvalue.StringRegexp(providertest.Message("verify --all --job"))),
			},
		},
		resource.TestStep{PreConfig: func() {
			if err := empty(s.cron)(); err != nil {
				t.Error(err)
			}
		}, Config: s.config(s.jobs, "@daily", "job = {\n verify = {}\n }", ""), ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccSchedule_everyKindOfJobIsImportedAsItWasDeclared(t *testing.T) {
	t.Parallel()
	for name, declared := range map[string]string{
		"rotate":   "source = \"shop\"\n key_ref = \"file:/etc/pgbackup/key\"\n job = {\n rotate = {}\n max_duration = \"2h\"\n }",
		"verify":   "timezone = \"Europe/Berlin\"\n job = {\n verify = {}\n upload_rate = 1000000\n }",
		"url":      "job = {\n logical = { database_url_ref = \"env:DATABASE_URL\", rotate_after = false, globals = false, verification = \"stored\", exclude_tables = [\"log.*\"] }\n stall_timeout = \"5m\"\n }",
		"all":      "job = {\n logical = {}\n }",
		"physical": "source = \"shop\"\n job = {\n physical = { server = { host = \"/run/postgresql\", user = \"backup\" }, checkpoint = \"spread\", max_rate = 67108864, compression = \"zstd\", wal_timeout = \"20m\", incremental = { full_every = \"3d\" }, verification = \"stored\", rotate_after = false }\n }",
		"base":     "job = {\n physical = { database_url_ref = \"env:DATABASE_URL\", incremental = {} }\n }",
		"push":     "job = {\n wal = { mode = \"push\", data_directory = \"/var/lib/postgresql/17/main\", ahead = 128, jobs = 4, spool = \"/var/spool/pgbackup\" }\n }",
		"globals":  "job = {\n globals = { server = { host = \"db\", sslrootcert_ref = \"ssm:/ca\" }, verification = \"stored\" }\n }",
		"config":   "job = {\n config = { rds_cluster = \"acme\", region = \"eu-west-1\", rotate_after = false }\n }",
		"files":    "job = {\n files = { paths = [\"/etc/a\", \"/srv/b\"], exclude = [\"*.tmp\"], one_file_system = true }\n }",
		"command":  "job = {\n command = { argv = [\"sh\", \"-c\", \"echo x\"], time_limit = \"30m\", file_name = \"x.yaml\" }\n }",
		"rds":      "metrics = \"cloudwatch\"\n job = {\n rds_snapshot = { instance = \"acme-prod\", region = \"us-east-1\" }\n }",
		"fresh":    "notifications = [{ channel = \"webhook\", url_ref = \"ssm:a\", secret_ref = \"env:KEY\", on = [\"failure\"] }]\n job = {\n freshness = { max_age = \"26h\" }\n }",
		"policy's": "job = {\n freshness = {}\n }",
		"tls":      "job = {\n logical = { include_schemas = [\"a\", \"b\"], server = { port = 5433, sslrootcert = \"system\", sslcert = \"/etc/c\", sslkey = \"/etc/k\", maintenance_database = \"app\" } }\n }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			config := s.config(s.jobs, "0 2 * * 1-5", declared, "")
			providertest.Run(t,
				resource.TestStep{Config: config},
				resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
				resource.TestStep{
					ResourceName: address, ImportState: true, ImportStateVerify: true,
					ImportStateVerifyIgnore: []string{"job_digest", "cron_line", "systemd_service", "systemd_timer", "archive_command", "run_on.host.runner_path"},
				},
			)
		})
	}
}

func TestAccSchedule_doesNotOverwriteAJobThatIsThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := filepath.Join(s.jobs, "nightly.job.json")
	if err := os.MkdirAll(s.jobs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("somebody else's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := s.config(s.jobs, "0 2 * * *", logical, "")
	providertest.Run(t,
		resource.TestStep{Config: config, ExpectError: providertest.Message("is there already, with another job: import it")},
		resource.TestStep{PreConfig: func() {
			if read(t, file) != "somebody else's\n" {
				t.Error("the file was changed")
			}
			remove(t, file)()
		}, Config: config},
	)
}

func TestAccSchedule_foldersAreMadeAndAFailedCreateLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	blocked := filepath.Join(s.cron, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	providertest.Run(t,
		resource.TestStep{
			Config:      s.config(s.jobs, "0 2 * * *", logical, fmt.Sprintf("systemd_directory = %q", blocked+"/system")),
			ExpectError: providertest.Message("run_on.host.systemd_directory: mkdir"),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := empty(s.jobs, s.systemd)(); err != nil {
					t.Error(err)
				}
			},
			Config: s.config(s.jobs, "0 2 * * *", logical, fmt.Sprintf("systemd_directory = %q", s.systemd+"/a/system")),
		},
	)
}

func TestAccSchedule_mistakesAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	plain := s.config(s.jobs, "0 2 * * *", logical, "")
	change := func(from, to string) string {
		if !strings.Contains(plain, from) {
			t.Fatalf("no %q in the configuration", from)
		}
		return strings.Replace(plain, from, to, 1)
	}
	for name, c := range map[string]struct{ config, want string }{
		"cron":             {change("0 2 * * *", "0 25 * * *"), "25 is outside 0 to 23"},
		"two kinds":        {change("logical = {", "rotate = {}\n logical = {"), "freshness, not 2"},
		"no kind":          {s.config(s.jobs, "0 2 * * *", "job = {}", ""), "freshness, not 0"},
		"twice a night":    {s.config(s.jobs, "0 2 * * *", logical, `systemd_directory = "/a"`+"\n"+`cron_directory = "/b"`), "cannot be specified when"},
		"no runner":        {change(`runner_path = "/usr/local/bin/pgbackup-runner"`, ""), "give runner = pgbackup_runner"},
		"runner elsewhere": {strings.Replace(change(`runner_path = "/usr/local/bin/pgbackup-runner"`, ""), `cron   =`, "runner = \"s3://bucket/p#x86_64:"+strings.Repeat("0a", 32)+"\"\n cron =", 1), "a host needs the program on its disk"},
		"sslmode":          {change("verify-full", "verify-ful"), "verify-full"},
		"url and server":   {change("databases = [", "database_url_ref = \"env:X\"\n databases = ["), "says server and database already"},
		"name":             {change(`name   = "nightly"`, `name   = "Bad Name"`), `Name "Bad Name": only lower-case`},
		"relative folder":  {s.config("jobs", "0 2 * * *", logical, ""), "Give an absolute path"},
		"not a policy":     {change("pgbackup_policy.prod.id", `"prod"`), "policy id"},
		"calendar limit":   {change("logical = {", "max_duration = \"1mo\"\n logical = {"), "goes by the calendar"},
		"kms":              {change("env:PGPASSWORD", "kms:arn:aws:kms:us-east-1:111122223333:key/a"), "job.logical.server.password_ref: a KMS key holds no text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: c.config, PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}
