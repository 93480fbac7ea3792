package physical_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// What a server had raised after its base backup stops recovery half-way, in the very
// state that it has at a target.
func TestRecoveryGoesOnToItsTargetWhereTheServerHadRaisedSettingsSince(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	p.mark(t, 1)
	p.backup(t)
	p.mark(t, 2)
	p.Exec(t, "postgres", "ALTER SYSTEM SET max_connections = 177", "ALTER SYSTEM SET max_locks_per_transaction = 99")
	if err := p.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := p.mark(t, 3)
	p.mark(t, 4)
	p.switched(t)
	for name, x := range map[string]struct {
		target archive.Target
		action string
		want   string
	}{
		"all there is": {archive.Target{Latest: true, Inclusive: true}, physical.Promote, "1 2 3 4"},
		"promoted":     {archive.Target{Time: at.at, Inclusive: true}, physical.Promote, "1 2 3"},
		"paused":       {archive.Target{Time: at.at, Inclusive: true}, physical.Pause, "1 2 3"},
		"shut down":    {archive.Target{LSN: at.lsn, Inclusive: true}, physical.Shutdown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := p.options(t, filepath.Join(folder(t), "data"))
			o.Target, o.Action, o.Start = x.target, x.action, true
			result := p.run(t, o)
			if !strings.Contains(strings.Join(result.Warnings, " "), "max_connections = 177, max_locks_per_transaction = 99") {
				t.Errorf("%q", result.Warnings)
			}
			if x.want != "" {
				if got := p.rows(t, o); got != x.want {
					t.Errorf("has %q, want %q", got, x.want)
				}
			}
			if result.Reached.LSN+pgwal.LSN(1<<20) < at.lsn {
				t.Errorf("recovery stopped at %s, before %s", result.Reached.LSN, at.lsn)
			}
		})
	}
}

// A configuration that names the data directory leads a server to that one, whatever
// directory it is started on; and what it has of a recovery of long ago counts again.
func TestAConfigurationThatSpeaksOfTheServerThatWasDoesNotLeadTheRestoredOneAway(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	f, err := os.OpenFile(filepath.Join(p.DataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\ndata_directory = '" + p.DataDir + "'\nrecovery_target_xid = '7'\nrecovery_target_inclusive off\nrecovery_min_apply_delay = 1h\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.mark(t, 1)
	p.backup(t)
	at := p.mark(t, 2)
	p.mark(t, 3)
	p.switched(t)

	o := p.options(t, filepath.Join(folder(t), "it's data"))
	o.Target, o.Start = archive.Target{LSN: at.lsn, Inclusive: false}, true
	result := p.run(t, o)
	if got := p.rows(t, o); got != "1 2" {
		t.Errorf("has %q", got)
	}
	var on string
	if p.askRestored(t, o, "SELECT current_setting('data_directory')", &on); on != o.Directory {
		t.Errorf("it runs on %s", on)
	}
	if said := strings.Join(result.Warnings, " "); !strings.Contains(said, "data_directory = "+p.DataDir) {
		t.Errorf("%q", said)
	}
}

func TestASecondRestoreIsKeptOutOfADirectory(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.backup(t)
	p.switched(t)
	o := p.options(t, filepath.Join(folder(t), "data"))
	results := make(chan error)
	for range 3 {
		go func() {
			_, err := physical.Run(t.Context(), o)
			results <- err
		}()
	}
	good := 0
	for range 3 {
		err := <-results
		if err == nil {
			good++
		} else if !strings.Contains(err.Error(), "another restore writes into it") && !strings.Contains(err.Error(), "somebody else changed it just now") && !strings.Contains(err.Error(), "is not empty") {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("%d of 3 restores into one directory say that they succeeded", good)
	}
	p.verified(t, o.Directory)
}

func TestATransactionIsRecoveredFromTheBaseBackupBeforeIt(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{Config: map[string]string{"max_prepared_transactions": "0"}})
	p.Exec(t, "postgres", ledger)
	early := p.mark(t, 1)
	p.backup(t)
	at := p.mark(t, 2)
	p.Exec(t, "postgres", "SELECT pg_create_restore_point('release')")
	p.mark(t, 3)
	p.backup(t)
	p.mark(t, 4)
	p.switched(t)
	for name, x := range map[string]struct {
		target archive.Target
		want   string // "" is out of reach
	}{
		"between":       {archive.Target{XID: at.xid, Inclusive: true}, "1 2"},
		"a point there": {archive.Target{Name: "release", Inclusive: true}, "1 2"},
		"before all":    {archive.Target{XID: early.xid, Inclusive: true}, ""},
		"nowhere":       {archive.Target{XID: at.xid + 100, Inclusive: true}, ""},
		"no such name":  {archive.Target{Name: "no'such", Inclusive: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := p.options(t, filepath.Join(folder(t), "data"))
			o.Target, o.Start = x.target, true
			if x.want == "" {
				if _, err := physical.Run(t.Context(), o); !errors.As(err, new(*archive.Unreachable)) {
					t.Error(err)
				}
				if _, err := os.Stat(o.Directory); err == nil {
					t.Error("something was restored")
				}
				return
			}
			p.run(t, o)
			if got := p.rows(t, o); got != x.want {
				t.Errorf("has %q, want %q", got, x.want)
			}
		})
	}
}

func TestAnActionThatAServerCanNotDoIsRefusedBeforeAnythingIsRestored(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.backup(t)
	p.switched(t)
	for _, action := range []string{physical.Pause, physical.Shutdown} {
		o := p.options(t, filepath.Join(folder(t), "data"))
		o.Action = action
		if _, err := physical.Examine(t.Context(), o); !errors.Is(err, physical.ErrOptions) || !strings.Contains(err.Error(), action) {
			t.Errorf("%s at the end of all there is: %v", action, err)
		}
	}
}
