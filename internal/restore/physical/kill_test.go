package physical_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The test binary run again with this variable is a process that does one restore, to
// be killed, or as another user.
const runOptions = "PHYSICAL_TEST_OPTIONS"

// order is what that process is told.
type order struct {
	Place, Directory, TablespaceDir, Command, Programs string
	Delta, Start                                       bool
	Settings                                           map[string]string
}

func TestMain(m *testing.M) {
	text := os.Getenv(runOptions)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := restoreOne([]byte(text)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func restoreOne(text []byte) error {
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	store, err := dir.Open(o.Place)
	if err != nil {
		return err
	}
	r, err := repo.Open(context.Background(), store, repo.OpenOptions{})
	if err != nil {
		return err
	}
	_, err = physical.Run(context.Background(), physical.Options{
		Repo: r, Source: source, Target: archive.Target{Latest: true, Inclusive: true}, Directory: o.Directory, TablespaceDir: o.TablespaceDir, RestoreCommand: o.Command,
		Programs: o.Programs, Delta: o.Delta, Start: o.Start, Settings: o.Settings, ArchiveMode: physical.ArchiveOff, Jobs: 2,
	})
	return err
}

// process does a restore in one of its own; as is the user it runs as, nil for this one.
func (p *protected) process(t testing.TB, o physical.Options, self string, as *syscall.Credential) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(order{p.place, o.Directory, o.TablespaceDir, o.RestoreCommand, o.Programs, o.Delta, o.Start, o.Settings})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), runOptions+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd
}

// Killed at any moment it leaves a directory that no server takes, until it is done;
// and the same call brings it to its end with what is there.
func TestARestoreThatIsKilledIsRepeated(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	space := folder(t)
	p.Exec(t, "postgres", "CREATE TABLESPACE one LOCATION '"+space+"'")
	p.filled(t)
	p.Exec(t, "postgres", "CREATE TABLE over TABLESPACE one AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i")
	p.backup(t)
	p.switched(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := p.options(t, filepath.Join(folder(t), "data"))
	o.TablespaceDir, o.Jobs = filepath.Join(folder(t), "spaces"), 2
	begun := time.Now()
	p.run(t, o)
	life := time.Since(begun)
	killed, middle := 0, 0
	for round := range 12 {
		if round%4 == 0 { // as new
			for _, d := range []string{o.Directory, o.TablespaceDir} {
				if err := os.RemoveAll(d); err != nil {
					t.Fatal(err)
				}
			}
		}
		o.Delta = false
		if _, err := os.Stat(filepath.Join(o.Directory, "PG_VERSION")); err == nil {
			_, err := os.Stat(filepath.Join(o.Directory, "global/pg_control"))
			o.Delta = err == nil // a whole one is only changed when asked to
		}
		var out bytes.Buffer
		cmd := p.process(t, o, self, nil)
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(life))))
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if cmd.ProcessState.Exited() {
			if !cmd.ProcessState.Success() {
				t.Fatalf("round %d: %s", round, out.String())
			}
			continue
		}
		killed++
		_, marker := os.Stat(filepath.Join(o.Directory, "pgbackup_restore.json"))
		_, control := os.Stat(filepath.Join(o.Directory, "global/pg_control"))
		if marker != nil || control == nil {
			continue // before the first change, or after the last but one
		}
		middle++
		if out, err := p.Command(t.Context(), "pg_ctl", "start", "-w", "-t", "5", "-D", o.Directory, "-l", "/dev/null").CombinedOutput(); err == nil {
			t.Fatalf("round %d: a server starts on half a directory: %s", round, out)
		}
	}
	o.Delta, o.Start = true, true
	p.run(t, o)
	if got := p.rows(t, o); len(strings.Fields(got)) != 100 {
		t.Error(got)
	}
	var count int
	p.askRestored(t, o, "SELECT count(*) FROM over", &count)
	if count != 100000 {
		t.Error(count)
	}
	t.Logf("%d of 12 killed, %d in the middle; a restore takes %s", killed, middle, life)
}

// What a private server had beside its data goes when the process is no more, and not
// before.
func TestWhatARestoreThatWasKilledWhileItRecoveredLeavesIsClearedByTheNext(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	p.backup(t)
	p.mark(t, 1)
	p.switched(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	temporary := folder(t)
	left := func() []string {
		names, err := filepath.Glob(filepath.Join(temporary, "pgbackup-recover-*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	begin := func(o physical.Options) *exec.Cmd {
		cmd := p.process(t, o, self, nil)
		cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
		return cmd
	}
	o := p.options(t, filepath.Join(folder(t), "data"))
	o.Start, o.RestoreCommand = true, "sleep 1 && "+o.RestoreCommand
	cmd := begin(o)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if sockets, _ := filepath.Glob(filepath.Join(temporary, "pgbackup-recover-*", ".s.PGSQL.5432")); len(sockets) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no private server")
		}
	}
	living := p.options(t, filepath.Join(folder(t), "data"))
	living.Start = true
	p.stopLater(t, living.Directory)
	if out, err := begin(living).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(left()) != 1 {
		t.Errorf("beside the living: %v", left())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if len(left()) != 1 {
		t.Fatalf("of the killed: %v", left())
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // its server ends with it
		if _, err := os.Stat(filepath.Join(o.Directory, "postmaster.pid")); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server lives on")
		}
	}
	next := p.options(t, filepath.Join(folder(t), "data"))
	next.Start = true
	p.stopLater(t, next.Directory)
	if out, err := begin(next).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(left()) > 0 {
		t.Errorf("left: %v", left())
	}
}

// As the server's own user it needs nothing of root, and what it makes is the user's.
func TestAPlainUserRestores(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("this is a plain user: the other tests show it")
		return
	}
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger, "INSERT INTO ledger (id) VALUES (1)")
	p.backup(t)
	p.switched(t)
	home := folder(t)
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(home, "restore")
	if err := os.WriteFile(self, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(home, "repo"), os.DirFS(p.place)); err != nil {
		t.Fatal(err)
	}
	uid, gid := ownerOf(t, home)
	err = filepath.WalkDir(home, func(name string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Chown(name, uid, gid)) })
	if err != nil {
		t.Fatal(err)
	}
	p.place = filepath.Join(home, "repo")
	o := p.options(t, filepath.Join(home, "made", "data"))
	o.Start = true
	p.stopLater(t, o.Directory)
	if out, err := p.process(t, o, self, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := p.rows(t, o); got != "1" {
		t.Error(got)
	}
	if u, _ := ownerOf(t, filepath.Join(o.Directory, "PG_VERSION")); u != uid {
		t.Errorf("it belongs to %d", u)
	}
}

// As root the files are given to whom the directory belongs to, or the one above it.
func TestRootGivesTheFilesToTheOwnerOfTheDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("this is a plain user, who gives nothing away")
		return
	}
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	p.backup(t)
	theirs := folder(t)
	if err := os.Chown(theirs, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	o := p.options(t, theirs)
	p.run(t, o)
	err := filepath.WalkDir(theirs, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if uid, gid := ownerOf(t, name); uid != 12345 || gid != 23456 {
			t.Errorf("%s belongs to %d:%d", name, uid, gid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ownerOf(t testing.TB, name string) (uid, gid int) {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return int(stat.Uid), int(stat.Gid)
}
