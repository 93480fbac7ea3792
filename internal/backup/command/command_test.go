package command_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/command"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

type place struct {
	*repo.Repository
	store objstore.Store
}

func newPlace(t *testing.T) place {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return place{r, store}
}

// shell is a command with a mark that is found in the environment of what it leaves.
func (p place) shell(script string) command.Options {
	return command.Options{
		Options: point.Options{Repo: p.Repository, Source: "cluster", Self: repo.Self()},
		Command: job.Command{Argv: []string{"bash", "-c", script}},
	}
}

// wantNothing fails when a failed backup left a point or data.
func (p place) wantNothing(t *testing.T) {
	t.Helper()
	for _, prefix := range []string{"manifests/", "points/"} {
		for info, err := range p.store.List(context.Background(), prefix) {
			t.Errorf("left: %s %v", info.Key, err)
		}
	}
	if n, err := p.store.PendingUploads(context.Background(), ""); n != 0 || err != nil {
		t.Errorf("%d unfinished uploads: %v", n, err)
	}
}

// wantGone fails when a process that has mark on its command line lives on.
func wantGone(t *testing.T, mark string) {
	t.Helper()
	for range 100 {
		alive := ""
		found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range found {
			if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), mark) {
				alive = f + " " + strings.ReplaceAll(string(line), "\x00", " ")
			}
		}
		if alive == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
		if t.Context().Err() != nil {
			break
		}
	}
	t.Errorf("a process with %s lives on", mark)
}

func TestTheOutputIsStoredByteForByte(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	data := make([]byte, 40<<20)
	_, _ = rand.Read(data) // never fails
	file := t.TempDir() + "/out"
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	o := p.shell("cat " + file + "; echo much on the other side >&2")
	o.Verify = "stored"
	result, err := command.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := p.OpenPoint(t.Context(), result.Manifest.Ref())
	if err != nil {
		t.Fatal(err)
	}
	body, err := opened.Open(t.Context(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil || fmt.Sprintf("%x", sum.Sum(nil)) != fmt.Sprintf("%x", sha256.Sum256(data)) {
		t.Errorf("it reads otherwise: %v", err)
	}
	if result.Manifest.Totals.Bytes != int64(len(data)) || result.Manifest.Origin.Program != "bash" {
		t.Errorf("%+v", result.Manifest)
	}
}

func TestAProgramThatFailsLateIsNoBackup(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"head -c 50000000 /dev/urandom; echo 'the API went away' >&2; exit 7": "bash failed (exit status 7): the API went away",
		"echo begun; kill -9 $$": "bash failed (signal: killed)",
		"true":                   "wrote nothing to its standard output",
		"for i in $(seq 100000); do echo line $i >&2; done; echo last >&2; exit 1": "…; line 99996;",
	} {
		p := newPlace(t)
		_, err := command.Run(t.Context(), p.shell(script))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 2000 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", script, err)
		}
		p.wantNothing(t)
	}
}

// Whoever was started by whom: the whole group ends.
func TestATimeLimitEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mark := "3" + fmt.Sprint(time.Now().UnixNano())[10:]
	o := p.shell("echo begun; trap '' TERM; sleep " + mark + " & (sleep " + mark + ") & wait; wait")
	o.Command.TimeLimit = duration.MustParse("1s")
	begun := time.Now()
	_, err := command.Run(t.Context(), o)
	if !errors.Is(err, command.ErrTimeLimit) || time.Since(begun) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	p.wantNothing(t)
	wantGone(t, "sleep\x00"+mark)
}

func TestAHungProgramIsNoticed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mark := "4" + fmt.Sprint(time.Now().UnixNano())[10:]
	o := p.shell("echo begun; sleep " + mark)
	o.StallTimeout = time.Second
	if _, err := command.Run(t.Context(), o); !errors.Is(err, point.ErrStalled) {
		t.Error(err)
	}
	p.wantNothing(t)
	wantGone(t, "sleep\x00"+mark)
}

func TestWhoStopsTheRunnerIsNamed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	time.AfterFunc(500*time.Millisecond, func() { cancel(why) })
	mark := "5" + fmt.Sprint(time.Now().UnixNano())[10:]
	if _, err := command.Run(ctx, p.shell("echo begun; sleep "+mark)); !errors.Is(err, why) {
		t.Error(err)
	}
	p.wantNothing(t)
	wantGone(t, "sleep\x00"+mark)
}

// A daemon that the command leaves behind does not hold the backup up.
func TestWhatIsLeftBehindInTheBackgroundDoesNotMatter(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	begun := time.Now()
	if _, err := command.Run(t.Context(), p.shell("echo all of it; sleep 11 >/dev/null &")); err != nil || time.Since(begun) > 10*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

func TestTheKeyOfTheRepositoryIsNotHandedOn(t *testing.T) {
	t.Setenv("COMMAND_TEST_KEY", "hunter2")
	p := newPlace(t)
	o := p.shell(`test -z "$COMMAND_TEST_KEY" && echo none`)
	o.HideEnv = []string{"COMMAND_TEST_KEY"}
	if _, err := command.Run(t.Context(), o); err != nil {
		t.Error(err)
	}
}
