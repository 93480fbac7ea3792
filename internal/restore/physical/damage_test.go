package physical_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestADamagedBackupIsSaidAndNoServerStartsOnWhatThereIs(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.filled(t)
	m := p.backup(t)
	object := filepath.Join(p.place, m.Ref().DataPrefix(), m.Stream("archive")[0].Name)
	whole, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit":  func(b []byte) []byte { b[len(b)*2/3] ^= 4; return b },
		"a chunk is cut": func(b []byte) []byte { return b[:len(b)/2] },
	} {
		if err := os.WriteFile(object, damage([]byte(string(whole))), 0o600); err != nil {
			t.Fatal(err)
		}
		o := p.options(t, filepath.Join(folder(t), "data"))
		o.Start = true
		_, err := physical.Run(t.Context(), o)
		if !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(o.Directory, "global/pg_control")); err == nil {
			t.Errorf("%s: a server would start", name)
		}
		// When the object is right again, the same call goes on.
		if err := os.WriteFile(object, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if result := p.run(t, o); result.Reached == nil || result.Reused == 0 && !strings.Contains(name, "cut") {
			t.Errorf("%s: %+v", name, result)
		}
	}
}

// What the server can not do is told in its words.
func TestAServerThatDoesNotReachTheTargetIsReported(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	p.backup(t)
	p.mark(t, 1)
	at := p.mark(t, 2)
	p.mark(t, 3)
	p.switched(t)
	o := p.options(t, filepath.Join(folder(t), "data"))
	o.Target, o.Start, o.RestoreCommand = archive.Target{Time: at.at, Inclusive: true}, true, "echo the store is away >&2; exit 126; %f %p"
	_, err := physical.Run(t.Context(), o)
	if !errors.Is(err, physical.ErrRecovery) || !strings.Contains(err.Error(), "the store is away") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Directory, "postmaster.pid")); err == nil {
		t.Error("it runs")
	}
}

func TestWhatIsWrongWithTheOptionsIsSaidFirst(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	m := p.backup(t)
	for name, change := range map[string]func(*physical.Options){
		"an action":          func(o *physical.Options) { o.Action = "dance" },
		"an archive mode":    func(o *physical.Options) { o.ArchiveMode = "maybe" },
		"a restore_command":  func(o *physical.Options) { o.RestoreCommand = "cp %f" },
		"two lines":          func(o *physical.Options) { o.RestoreCommand = "cp %f %p\nrecovery_target = x" },
		"no directory":       func(o *physical.Options) { o.Directory = "" },
		"a point of no one":  func(o *physical.Options) { o.Point = "20200101T000000Z-aaaaaaaa" },
		"a source of no one": func(o *physical.Options) { o.Source = "nobody" },
		"two targets":        func(o *physical.Options) { o.Target.Immediate = true },
	} {
		o := p.options(t, filepath.Join(folder(t), "data"))
		change(&o)
		if _, err := physical.Run(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
		if o.Directory != "" {
			if _, err := os.Stat(o.Directory); err == nil {
				t.Errorf("%s: it began", name)
			}
		}
	}
	o := p.options(t, filepath.Join(folder(t), "data"))
	o.Point, o.Target = m.ID, archive.Target{Immediate: true, Inclusive: true}
	if result := p.run(t, o); result.Point != m.Ref() {
		t.Errorf("%+v", result)
	}
}

// On Debian the configuration lies in /etc: the log is replayed all the same, and who
// has the configuration starts the server.
func TestAServerWithoutItsConfigurationIsRecoveredAndNotLeftRunning(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{Config: map[string]string{"max_connections": "123"}})
	p.Exec(t, "postgres", ledger)
	for _, name := range []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf"} {
		if err := os.Remove(filepath.Join(p.DataDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.backup(t)
	at := p.mark(t, 1)
	p.mark(t, 2)
	p.switched(t)
	o := p.options(t, filepath.Join(folder(t), "data"))
	o.Target, o.Action, o.Start = archive.Target{Time: at.at, Inclusive: true}, physical.Pause, true
	result := p.run(t, o)
	if result.Started || result.Reached == nil || result.Reached.State != "paused" || len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "postgresql.conf") {
		t.Errorf("%+v %+v", result, result.Reached)
	}
	if _, err := os.Stat(filepath.Join(o.Directory, "postmaster.pid")); err == nil {
		t.Error("it runs")
	}
}
