package files_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/files"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// A disk that is not mounted, beside one that is.
func TestOneOfSeveralPathsWithNothingInItIsWarnedOf(t *testing.T) {
	t.Parallel()
	full, empty, excluded := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, full+"/kept", "data")
	write(t, excluded+"/a.log", "data")
	r, _ := inDir(t)
	o := options(r, full, empty, excluded)
	o.Selection.Exclude = []string{"*.log"}
	result := take(t, o)
	if w := strings.Join(result.Warnings, "\n"); !strings.Contains(w, "there is no file in "+empty+", "+excluded) && !strings.Contains(w, "there is no file in "+excluded+", "+empty) {
		t.Errorf("warnings %q", w)
	}
	if p, err := files.Plan(t.Context(), o); err != nil || len(p.Warnings) != 1 {
		t.Errorf("%v: %+v", err, p)
	}
	o = options(r, empty, excluded)
	o.Selection.Exclude = []string{"*.log"}
	if _, err := files.Run(t.Context(), o); !errors.Is(err, point.ErrEmpty) {
		t.Errorf("all of them: %v", err)
	}
}

func TestWhatTheKernelMakesUpIsNotStored(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	write(t, tree+"/kept", "data")
	r, _ := inDir(t)
	result := take(t, options(r, tree, "/proc/sys/kernel", "/proc/version"))
	if w := strings.Join(result.Warnings, "\n"); len(result.Warnings) != 1 || !strings.Contains(w, "special file systems such as /proc and /sys can not be backed up: /proc/sys/kernel, /proc/version; exclude them") {
		t.Errorf("warnings %q", w)
	}
	if h, _ := entries(t, r, result.Manifest.Ref()); slices.ContainsFunc(result.Manifest.Objects, func(o repo.Object) bool { return o.PlainSize > 1<<20 }) || h["proc/version"] != nil {
		t.Errorf("stored: %v", h)
	}
	_, err := files.Run(t.Context(), options(r, "/proc/version"))
	if !errors.Is(err, point.ErrEmpty) || !strings.Contains(err.Error(), "special file systems") {
		t.Error(err)
	}
}

// Some programs put a file's time back after they wrote to it.
func TestAChangeWhoseTimeWasPutBackIsNoticed(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, objstore.RateLimit(store, 24<<20))
	name := t.TempDir() + "/file"
	noise(t, name, 100<<20)
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	o := options(r, name)
	o.Progress = &point.Progress{}
	done := make(chan error, 1)
	go func() {
		for o.Progress.Plain.Load() < 8<<20 {
			time.Sleep(time.Millisecond)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("changed"), 90<<20)
			err = errors.Join(err, f.Close(), os.Chtimes(name, before.ModTime(), before.ModTime()))
		}
		done <- err
	}()
	result := take(t, o)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(result.Warnings, "\n"); !strings.Contains(w, "changed while being read") {
		t.Errorf("warnings %q", w)
	}
}

// Three machines that were given one job.
func TestAnotherMachineUnderOneSourceIsDoubted(t *testing.T) {
	t.Parallel()
	tree, other := t.TempDir(), t.TempDir()
	write(t, tree+"/kept", "data")
	write(t, other+"/kept", "data")
	r, _ := inDir(t)
	on := func(host string, random bool, paths ...string) point.Result {
		t.Helper()
		o := options(r, paths...)
		o.Self.Host, o.RandomHost = host, random
		return take(t, o)
	}
	for i, c := range []struct {
		host   string
		random bool
		path   string
		doubt  string
	}{
		{"web1", false, tree, ""},
		{"web1", false, tree, ""},
		{"web2", false, tree, "this was read from host web2, and the newest backup"},
		{"web2", false, tree, ""},
		{"pod-7f", true, tree, ""}, // its name says nothing
		{"pod-81", true, tree, ""},
		{"web2", false, other, "from " + tree + ": after a change"},
	} {
		got := on(c.host, c.random, c.path)
		if !strings.Contains(got.Doubt, c.doubt) || (c.doubt == "") != (got.Doubt == "") || (c.doubt == "") != (len(got.Warnings) == 0) {
			t.Errorf("%d, %s: doubt %q, warnings %q", i, c.host, got.Doubt, got.Warnings)
		}
		if got.Manifest.Host != c.host {
			t.Errorf("%d: made on %q", i, got.Manifest.Host)
		}
	}
}
