package host

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

var update = flag.Bool("update", false, "write the golden files anew")

func nightly() Spec {
	return Spec{
		Job: job.Job{
			Format: job.Format, Name: "nightly", Kind: job.KindLogical, Repository: "file:///var/backups/pg", Policy: "prod",
			Logical: &job.Logical{
				Databases: []string{"app"},
				Server:    job.Server{Host: "db.example.org", User: "backup", PasswordRef: secretref.Ref{Scheme: secretref.Env, Value: "PGPASSWORD"}},
			},
			Schedule: &job.Schedule{Cron: "0 2 * * *"},
		},
		JobPath: "/etc/pgbackup/nightly.job.json",
		Runner:  "/usr/local/bin/pgbackup-runner",
	}
}

// cases are rendered to golden files, and each of them is put before the
// platform's own reader.
func cases() map[string]Spec {
	full := nightly()
	full.User, full.EnvironmentFile, full.RandomizedDelay = "postgres", "/etc/pgbackup/secrets.env", 5*time.Minute
	full.RunnerSHA256 = strings.Repeat("9c41d2e8", 8)
	full.Job.Schedule = &job.Schedule{Cron: "30 1,13 1 * 1-5", Timezone: "Europe/Berlin"}
	full.Zone, _ = time.LoadLocation("Europe/Berlin")
	odd := nightly()
	odd.Job.Repository = "file:///srv/100%25%20of%20it"
	odd.JobPath, odd.EnvironmentFile = `/etc/it's 5% "of" $HOME/n\x.job.json`, "/etc/50% env"
	socket := nightly()
	socket.Job.Logical.Server = job.Server{}
	bucket := nightly()
	bucket.Job.Repository = "s3://acme-pg-backups/prod?region=us-east-1"
	rotate := nightly()
	rotate.Job.Kind, rotate.Job.Logical = job.KindRotate, nil
	verify := nightly()
	verify.Job.Kind, verify.Job.Logical = job.KindVerify, nil
	freshness := nightly()
	freshness.Job.Kind, freshness.Job.Logical = job.KindFreshness, nil
	files := nightly()
	files.Job.Kind, files.Job.Logical = job.KindFiles, nil
	files.Job.Files = &job.Files{Paths: []string{"/etc/app", "/var/tmp/uploads"}}
	config := nightly()
	config.Job.Kind, config.Job.Logical = job.KindConfig, nil
	config.Job.Config = &job.Config{Directory: "/etc/postgresql/17/main"}
	command := nightly()
	command.Job.Kind, command.Job.Logical = job.KindCommand, nil
	command.Job.Command = &job.Command{Argv: []string{"kubectl", "get", "configmap,secret", "-o", "yaml"}}
	made := nightly()
	made.Job.Repository = "s3://acme-pg-backups/prod?region=us-east-1"
	made.User, made.EnvironmentFile, made.RandomizedDelay = "postgres", "/etc/pgbackup/secrets.env", 5*time.Minute
	made.Fetch = &Fetch{JobURL: "s3://acme-pg-backups/prod/jobs/nightly/" + strings.Repeat("ab", 32) + ".json?region=us-east-1", Programs: map[string]shell.Program{
		"x86_64": {URL: "s3://acme-pg-backups/prod/runner/" + strings.Repeat("9c41d2e8", 8) + "/linux_amd64/pgbackup-runner", SHA256: strings.Repeat("9c41d2e8", 8), Region: "us-east-1"},
		"arm64":  {URL: "s3://acme-pg-backups/prod/runner/" + strings.Repeat("0a1b2c3d", 8) + "/linux_arm64/pgbackup-runner", SHA256: strings.Repeat("0a1b2c3d", 8), Region: "us-east-1"},
	}}
	elsewhere := nightly()
	elsewhere.Job.Schedule.Timezone = "Asia/Tokyo"
	drill := nightly()
	drill.Job.Kind, drill.Job.Logical = job.KindDrill, nil
	drill.Job.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: "/srv/drills"}}}
	beside := nightly()
	beside.Job.Kind, beside.Job.Logical, beside.EnvironmentFile = job.KindDrill, nil, "/tmp/secrets.env"
	beside.Job.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
	physical := nightly()
	physical.Job.Name, physical.Job.Kind, physical.Job.Logical = "base", job.KindPhysical, nil
	physical.Job.Physical = &job.Physical{Server: job.Server{Host: "/run/postgresql", User: "backup"}, MaxRate: 64 << 20}
	receive := nightly()
	receive.Job.Name, receive.Job.Kind, receive.Job.Logical, receive.Job.Schedule = "shop-wal", job.KindWAL, nil, nil
	receive.Job.WAL = &job.WAL{Mode: job.WALReceive, Server: nightly().Job.Logical.Server, Heartbeat: &job.Heartbeat{}}
	receive.User, receive.EnvironmentFile, receive.RunnerSHA256 = "postgres", "/etc/pgbackup/secrets.env", strings.Repeat("9c41d2e8", 8)
	spooled := receive
	spooled.Job.WAL = &job.WAL{Mode: job.WALReceive, Confirm: job.ConfirmSpooled, Spool: "/srv/wal spool"}
	spooled.Job.Repository, spooled.ByRunner = "s3://acme-pg-backups/prod?region=us-east-1", true
	push := nightly()
	push.Job.Name, push.Job.Kind, push.Job.Logical, push.Job.Schedule.Cron = "shop-wal", job.KindWAL, nil, "*/5 * * * *"
	push.Job.WAL = &job.WAL{Mode: job.WALPush, DataDirectory: "/var/lib/postgresql/17/main"}
	push.User, push.EnvironmentFile = "postgres", "/etc/pgbackup/secrets.env"
	return map[string]Spec{"physical": physical, "receive": receive, "receive spooled": spooled, "push": push, "plain": nightly(), "drill": drill, "drill that sees tmp": beside, "full": full, "odd names": odd, "socket": socket, "bucket": bucket, "rotate": rotate, "verify": verify, "zone of elsewhere": elsewhere,
		"freshness": freshness, "files": files, "config": config, "command": command, "cloud init": made}
}

func (r Rendered) golden() string {
	cron := r.Cron
	if r.CronError != nil {
		cron = "error: " + r.CronError.Error() + "\n"
	}
	text := "==> job\n" + r.Job + "==> service\n" + r.Service + "==> timer\n" + r.Timer + "==> cron\n" + cron
	if r.ArchiveCommand != "" {
		text += "==> archive_command\n" + r.ArchiveCommand + "\n"
	}
	if r.CloudInit != "" {
		text += "==> cloud-init\n" + r.CloudInit
	}
	return text
}

func TestRenderedTextsAreTheGoldenOnes(t *testing.T) {
	for name, spec := range cases() {
		t.Run(name, func(t *testing.T) {
			r, err := Render(spec)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "_")+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(r.golden()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), r.golden()); diff != "" {
				t.Errorf("differs (-golden +rendered):\n%s", diff)
			}
			if again, err := job.Parse([]byte(r.Job)); err != nil || again.Digest() != spec.Job.Digest() {
				t.Errorf("the runner does not read the same job: %v", err)
			}
		})
	}
}

// The programs of a real systemd read the units, with the runner's path
// replaced by one that is here: verify looks whether it can be executed.
func TestSystemdAcceptsEveryUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is not on PATH: install systemd (apt-get install systemd)")
	}
	for name, spec := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec.Runner = "/bin/true"
			spec.User = ""
			r, err := Render(spec)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			service, timer := filepath.Join(dir, r.Name+".service"), filepath.Join(dir, r.Name+".timer")
			units := []File{{service, r.Service, 0o644}}
			if !spec.Job.Receives() {
				units = append(units, File{timer, r.Timer, 0o644})
			}
			args := []string{"verify", "--man=no", "--recursive-errors=no"}
			for _, u := range units {
				args = append(args, u.Path)
			}
			if err := Write(units...); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(analyze, args...).CombinedOutput()
			var said []string
			for line := range strings.SplitSeq(string(out), "\n") {
				if strings.Contains(line, r.Name) { // other units of this machine are not ours
					said = append(said, line)
				}
			}
			if err != nil || len(said) > 0 {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
		})
	}
}

func TestTheCommandForCronReachesTheRunnerWordForWord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := cases()["odd names"]
	spec.Runner = filepath.Join(dir, "100% runner")
	spec.EnvironmentFile = filepath.Join(dir, "a 'env'")
	if err := Write(
		File{spec.Runner, "#!/bin/sh\nprintf '%s\\n' \"$SECRET\" \"$@\"\n", 0o755},
		File{spec.EnvironmentFile, "SECRET=value\n", 0o600},
	); err != nil {
		t.Fatal(err)
	}
	r, err := Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(r.Cron), "\n")
	// cron's own reading: the first six words are not the command, "\%" is "%".
	command := strings.ReplaceAll(strings.SplitN(lines[len(lines)-1], " ", 7)[6], `\%`, "%")
	out, err := exec.Command("/bin/sh", "-c", command).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{"value", "backup", "--job", spec.JobPath, ""}, "\n")
	if string(out) != want {
		t.Errorf("the runner got %q, want %q", out, want)
	}
}

func TestAZoneThatCronDoesNotKnowLeavesTheTimer(t *testing.T) {
	t.Parallel()
	r, err := Render(cases()["zone of elsewhere"])
	if err != nil {
		t.Fatal(err)
	}
	if r.CronError == nil || r.Cron != "" || !strings.Contains(r.CronError.Error(), schedule.ErrNotThere.Error()) {
		t.Errorf("cron: %q, %v", r.Cron, r.CronError)
	}
	if !strings.Contains(r.Timer, "Asia/Tokyo") {
		t.Errorf("timer: %s", r.Timer)
	}
}

func TestAReceiverIsKeptRunningAndHasNoTimer(t *testing.T) {
	t.Parallel()
	r, err := Render(cases()["receive"])
	if err != nil {
		t.Fatal(err)
	}
	if r.Timer != "" || r.Cron != "" || r.CronError == nil || !strings.Contains(r.CronError.Error(), "use systemd") {
		t.Errorf("timer %q, cron %q, %v", r.Timer, r.Cron, r.CronError)
	}
	for _, line := range []string{"Restart=always", "StartLimitIntervalSec=0", "WantedBy=multi-user.target", "ExecStart=/usr/local/bin/pgbackup-runner wal receive --job /etc/pgbackup/nightly.job.json"} {
		if !strings.Contains(r.Service, line+"\n") {
			t.Errorf("no line %s in\n%s", line, r.Service)
		}
	}
	if r.ArchiveCommand != "" {
		t.Errorf("archive_command %q of a receiver", r.ArchiveCommand)
	}
}

func TestWhatAHostCanNotRunIsRefusedByName(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Spec){
		"path of the job file \"x.json\": give an absolute path": func(s *Spec) { s.JobPath = "x.json" },
		"path of the runner is missing":                          func(s *Spec) { s.Runner = "" },
		"control characters":                                     func(s *Spec) { s.EnvironmentFile = "/etc/a\nExecStart=/bin/sh" },
		"name of a user":                                         func(s *Spec) { s.User = "postgres\nExecStartPre=/bin/sh" },
		"no '$' there":                                           func(s *Spec) { s.Runner = "/opt/$x" },
		"has no schedule":                                        func(s *Spec) { s.Job.Schedule = nil },
		"it has no schedule": func(s *Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.WAL = job.KindWAL, nil, &job.WAL{Mode: job.WALReceive}
		},
		"there is no start to delay": func(s *Spec) { *s = cases()["receive"]; s.RandomizedDelay = time.Second },
		`write it as "/etc/x"`:       func(s *Spec) { s.WritePaths = []string{"/etc/y/../x"} },
	} {
		spec := nightly()
		spec.Job.Schedule = &job.Schedule{Cron: "0 2 * * *"}
		change(&spec)
		if _, err := Render(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestAFileIsReplacedWholeAndLeftAloneWhenItIsRight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := File{filepath.Join(dir, "a"), "one\n", 0o644}
	if err := Write(f); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(f); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(f.Path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged file was written again: %v", err)
	}
	f.Content = "two\n"
	if err := Write(f); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(f.Path); err != nil || string(text) != "two\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("litter: %v, %v", entries, err)
	}
	for range 2 {
		if err := Remove(f.Path); err != nil {
			t.Error(err)
		}
	}
	if err := Write(File{filepath.Join(dir, "none", "a"), "x", 0o644}); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("a folder that is missing: %v", err)
	}
}
