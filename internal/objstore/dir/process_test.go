//go:build linux

package dir_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
)

// Some things only another process can show: being killed, being another user,
// having a full disk. The test binary runs itself with this variable set.
const roleVariable = "PGBACKUP_DIR_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := roles[role](context.Background(), os.Getenv("PGBACKUP_DIR_TEST_ROOT")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var roles = map[string]func(ctx context.Context, root string) error{
	"writer":  foreverWriter,
	"full":    fullDisk,
	"user":    deniedUser,
	"counter": counter,
}

// self prepares a child that plays role on root.
func self(role, root string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "PGBACKUP_DIR_TEST_ROOT="+root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func mustPlay(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// foreverWriter puts and uploads until it is killed. Each object holds its own
// name over and over, so that a half-written one shows.
func foreverWriter(ctx context.Context, root string) error {
	s, err := dir.Open(root)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("w/%d/%06d", os.Getpid(), i)
		data := []byte(strings.Repeat(key+"\n", 20_000))
		if i%2 == 0 {
			if _, err := s.Put(ctx, key, data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: i%4 == 0}}); err != nil {
				return err
			}
			continue
		}
		up, err := s.Create(ctx, key, always)
		if err != nil {
			return err
		}
		if err := up.Part(ctx, 1, data); err != nil {
			return err
		}
		if _, err := up.Complete(ctx); err != nil {
			return err
		}
	}
}

func TestAKilledWriterLeavesWholeObjectsAndClearableLitter(t *testing.T) {
	root := t.TempDir()
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	littered := 0
	for round := range 25 {
		cmd := self("writer", root)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(40+7*round%60) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()

		n, err := s.PendingUploads(t.Context(), "w/")
		if err != nil {
			t.Fatal(err)
		}
		littered += n
		if other, err := s.AbortUploads(t.Context(), "x/"); other != 0 || err != nil {
			t.Errorf("aborted %d of another prefix (%v)", other, err)
		}
		if got, err := s.AbortUploads(t.Context(), "w/"); got != n || err != nil {
			t.Errorf("aborted %d (%v), want %d", got, err, n)
		}
	}
	if littered == 0 {
		t.Error("no kill hit a write: the test proves nothing")
	}
	objects := 0
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		objects++
		if want := int64(len(info.Key)+1) * 20_000; info.Size != want {
			t.Errorf("%s has %d bytes, want %d", info.Key, info.Size, want)
		}
	}
	if objects == 0 {
		t.Error("no object was written")
	}
	left, err := filepath.Glob(filepath.Join(root, ".uploads", "*.*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left %q (%v)", left, err)
	}
}

const increments = 30

// counter raises a number by compare-and-swap.
func counter(ctx context.Context, root string) error {
	s, err := dir.Open(root)
	if err != nil {
		return err
	}
	for range increments {
		for {
			body, info, err := s.Get(ctx, "counter", objstore.GetOptions{})
			if err != nil {
				return err
			}
			var n int
			_, err = fmt.Fscan(body, &n)
			_ = body.Close()
			if err != nil {
				return err
			}
			_, err = s.Put(ctx, "counter", fmt.Append(nil, n+1), objstore.PutOptions{Condition: objstore.Condition{IfMatch: info.ETag}})
			if err == nil {
				break
			}
			if !errors.Is(err, objstore.ErrPrecondition) {
				return err
			}
		}
	}
	return nil
}

func TestCompareAndSwapHoldsBetweenProcesses(t *testing.T) {
	root := t.TempDir()
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "counter", []byte("0"), always); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	for range cap(done) {
		cmd := self("counter", root)
		go func() {
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(root, "counter"))
	if want := fmt.Sprint(cap(done) * increments); err != nil || string(got) != want {
		t.Errorf("counted %s (%v), want %s", got, err, want)
	}
}

// fullDisk mounts a small file system in a name space of its own.
func fullDisk(ctx context.Context, root string) error {
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		return fmt.Errorf("mount a small tmpfs: %w", err)
	}
	s, err := dir.Open(root)
	if err != nil {
		return err
	}
	if _, err := s.Put(ctx, "small", []byte("x"), always); err != nil {
		return err
	}
	if _, err := s.Put(ctx, "big/file", make([]byte, 4<<20), always); !errors.Is(err, objstore.ErrNoSpace) {
		return fmt.Errorf("put on a full disk: %w, want %w", err, objstore.ErrNoSpace)
	}
	up, err := s.Create(ctx, "big/upload", always)
	if err != nil {
		return err
	}
	if err := up.Part(ctx, 1, make([]byte, 4<<20)); !errors.Is(err, objstore.ErrNoSpace) {
		return fmt.Errorf("part on a full disk: %w, want %w", err, objstore.ErrNoSpace)
	}
	if err := up.Abort(); err != nil {
		return err
	}
	// All is given back, and nothing half-made is seen.
	if _, err := s.Put(ctx, "fits/again", make([]byte, 500<<10), always); err != nil {
		return fmt.Errorf("put after the failures: %w", err)
	}
	for info, err := range s.List(ctx, "big/") {
		return fmt.Errorf("listed %s (%w)", info.Key, err)
	}

	if err := syscall.Mount("", root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("remount read-only: %w", err)
	}
	if _, err := s.Put(ctx, "k", nil, always); !errors.Is(err, objstore.ErrDenied) || !strings.Contains(err.Error(), "read-only") {
		return fmt.Errorf("put on a read-only disk: %w, want %w", err, objstore.ErrDenied)
	}
	if _, err := s.Head(ctx, "small", ""); err != nil {
		return fmt.Errorf("head on a read-only disk: %w", err)
	}
	return nil
}

func TestAFullAndAReadOnlyDiskAreSaidAndLeaveNothing(t *testing.T) {
	cmd := self("full", t.TempDir())
	// A user name space of its own lets anybody mount, and takes the mount away
	// with the process.
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	mustPlay(t, cmd)
}

// deniedUser uses a store it may look at, not touch.
func deniedUser(ctx context.Context, root string) error {
	s, err := dir.Open(root)
	if err != nil {
		return err
	}
	_, putErr := s.Put(ctx, "new", nil, always)
	_, createErr := s.Create(ctx, "new", always)
	_, _, getErr := s.Get(ctx, "private/k", objstore.GetOptions{})
	for op, err := range map[string]error{"put": putErr, "create": createErr, "get": getErr, "delete": s.Delete(ctx, "private/k")} {
		if !errors.Is(err, objstore.ErrDenied) {
			return fmt.Errorf("%s: %w, want %w", op, err, objstore.ErrDenied)
		}
	}
	return nil
}

func TestMissingPermissionsAreDenied(t *testing.T) {
	root, err := os.MkdirTemp("", "pgbackup-dir-") // the parents of t.TempDir are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(root, 0o700); _ = os.RemoveAll(root) })
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "private/k", []byte("x"), always); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o555)
	cmd := self("user", root)
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	} else if err := os.Chmod(filepath.Join(root, "private"), 0o000); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(root, mode), os.Chmod(filepath.Join(root, ".uploads"), mode)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "private"), 0o700) })
	mustPlay(t, cmd)
}
