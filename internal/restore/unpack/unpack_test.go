package unpack_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/unpack"
)

// item is an entry of a tar that somebody has made.
type item struct {
	tar.Header
	data string
}

func file(name, data string) item {
	return item{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Uid: os.Getuid(), Gid: os.Getgid(), ModTime: time.Unix(1e9, 5)}, data}
}

func link(kind byte, name, to string) item {
	return item{tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o777, ModTime: time.Unix(1e9, 0), Uid: os.Getuid(), Gid: os.Getgid()}, ""}
}

func folder(name string) item {
	return item{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o500, Uid: os.Getuid(), Gid: os.Getgid(), ModTime: time.Unix(1e9, 0)}, ""}
}

// commit makes a point of the tar, with a list that agrees: nothing but the names
// is wrong with it.
func commit(t *testing.T, items ...item) (*repo.Repository, repo.Ref, string) {
	t.Helper()
	place := t.TempDir()
	store, err := dir.Open(place)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := r.NewPoint("app", "files", time.Now(), repo.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var archive, lines bytes.Buffer
	out, list := tar.NewWriter(&archive), contents.NewDigest()
	for _, i := range items {
		h := i.Header
		h.Size, h.Format = int64(len(i.data)), tar.FormatPAX
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		sum := ""
		if h.Typeflag == tar.TypeReg {
			digest := sha256.Sum256([]byte(i.data))
			sum = hex.EncodeToString(digest[:])
			if _, err := out.Write([]byte(i.data)); err != nil {
				t.Fatal(err)
			}
		}
		line, err := list.Add(contents.Of(&h, sum))
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(line)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{contents.StreamArchive: archive.Bytes(), contents.StreamEntries: lines.Bytes()} {
		if err := w.WriteStream(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), &repo.Manifest{End: time.Now(), Totals: repo.Totals{Files: list.Files, Bytes: list.Bytes}}); err != nil {
		t.Fatal(err)
	}
	return r, w.Ref(), place
}

func TestATreeComesBackAsItWas(t *testing.T) {
	t.Parallel()
	with := file("etc/app/a", "alpha")
	with.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "x\x00y"}
	with.Mode = 0o4750
	r, ref, _ := commit(t, folder("etc/app"), with, link(tar.TypeLink, "etc/app/b", "etc/app/a"), link(tar.TypeSymlink, "etc/app/out", "/etc/passwd"), file("etc/app/empty", ""))
	to := t.TempDir() + "/new"
	result, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to})
	if err != nil || result.Files != 2 || result.Entries != 5 || len(result.Warnings) > 0 {
		t.Fatalf("%+v %v", result, err)
	}
	data, err := os.ReadFile(to + "/etc/app/b")
	if err != nil || string(data) != "alpha" {
		t.Errorf("%q %v", data, err)
	}
	a, _ := os.Stat(to + "/etc/app/a")
	b, _ := os.Stat(to + "/etc/app/b")
	if !os.SameFile(a, b) || !a.ModTime().Equal(time.Unix(1e9, 5)) || a.Mode().Perm() != 0o750 || a.Mode()&fs.ModeSetuid == 0 != (os.Geteuid() != 0) {
		t.Errorf("%v %v", a, b)
	}
	if target, err := os.Readlink(to + "/etc/app/out"); err != nil || target != "/etc/passwd" {
		t.Errorf("%q %v", target, err)
	}
	note := make([]byte, 10)
	if n, err := unix.Getxattr(to+"/etc/app/a", "user.note", note); err != nil || string(note[:n]) != "x\x00y" {
		t.Errorf("%q %v", note, err)
	}
	if d, _ := os.Stat(to + "/etc/app"); d.Mode().Perm() != 0o500 || !d.ModTime().Equal(time.Unix(1e9, 0)) {
		t.Errorf("%v %v", d.Mode(), d.ModTime())
	}
	if _, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to}); !errors.Is(err, unpack.ErrNotEmpty) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to, Overwrite: true}); err != nil {
		t.Errorf("over it: %v", err)
	}
	if left, _ := filepath.Glob(to + "/etc/app/.pgbackup-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Each tar is one that a repository without a key could be made to hold.
func TestAHostileTarWritesNothingOutsideTheDirectory(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/victim", []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, items := range map[string][]item{
		"parent":                       {file("../victim", "x")},
		"deep parent":                  {folder("a"), file("a/../../victim", "x")},
		"absolute":                     {file(outside+"/victim", "x")},
		"dot":                          {file("./victim", "x")},
		"only dots":                    {link(tar.TypeSymlink, "..", outside)},
		"through a symbolic link":      {link(tar.TypeSymlink, "a", outside), file("a/victim", "x")},
		"through a relative one":       {link(tar.TypeSymlink, "a", "../"+filepath.Base(outside)), file("a/victim", "x")},
		"through a link to itself":     {folder("b"), link(tar.TypeSymlink, "a", "b"), file("a/victim", "x")},
		"directory over a link":        {link(tar.TypeSymlink, "a", outside), folder("a"), file("a/victim", "x")},
		"file over a link":             {link(tar.TypeSymlink, "victim", outside+"/victim"), file("victim", "x")},
		"hard link out":                {link(tar.TypeLink, "a", "../"+filepath.Base(outside)+"/victim")},
		"hard link to an absolute one": {link(tar.TypeLink, "a", outside+"/victim")},
		"hard link to a symbolic one":  {link(tar.TypeSymlink, "s", outside+"/victim"), link(tar.TypeLink, "a", "s")},
		"hard link through one":        {link(tar.TypeSymlink, "s", outside), link(tar.TypeLink, "a", "s/victim")},
		"a device":                     {link(tar.TypeChar, "null", "")},
		"twice":                        {file("a", "x"), file("a", "y")},
	} {
		r, ref, _ := commit(t, items...)
		for _, over := range []bool{false, true} {
			if over && (what == "twice" || what == "file over a link") {
				continue // replacing is then what was asked for, and stays inside
			}
			to := filepath.Join(filepath.Dir(outside), "to-"+filepath.Base(t.TempDir()), strings.ReplaceAll(what, " ", "-"))
			_, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to, Overwrite: over})
			if !errors.Is(err, repo.ErrDamaged) || strings.Contains(err.Error(), "list of entries") {
				t.Errorf("%s (over %v): %v", what, over, err)
			}
		}
		if data, err := os.ReadFile(outside + "/victim"); err != nil || string(data) != "safe" {
			t.Fatalf("%s: the victim is %q (%v)", what, data, err)
		}
		if names, _ := os.ReadDir(outside); len(names) != 1 {
			t.Fatalf("%s: written outside: %v", what, names)
		}
	}
}

// What is in the directory already may be hostile too.
func TestALinkThatWasThereIsNotFollowed(t *testing.T) {
	t.Parallel()
	outside, to := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Symlink(outside, to+"/a"), os.Symlink(outside+"/f", to+"/f")); err != nil {
		t.Fatal(err)
	}
	r, ref, _ := commit(t, file("a/x", "x"))
	if _, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to, Overwrite: true}); err == nil {
		t.Error("it went through")
	}
	r, ref, _ = commit(t, file("f", "x"))
	if _, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to, Overwrite: true}); err != nil {
		t.Error(err)
	}
	if names, _ := os.ReadDir(outside); len(names) != 0 {
		t.Errorf("written outside: %v", names)
	}
	if info, err := os.Lstat(to + "/f"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v %v", info, err)
	}
}

func TestDamageIsSaidAndNoHalfFileIsLeft(t *testing.T) {
	t.Parallel()
	r, ref, place := commit(t, file("a", strings.Repeat("some text ", 1000)))
	object := filepath.Join(place, ref.DataPrefix(), "archive.0000")
	data, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(object, data, 0o600); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if _, err := unpack.Run(t.Context(), unpack.Options{Repo: r, Ref: ref, Directory: to}); !errors.Is(err, repo.ErrDamaged) {
		t.Error(err)
	}
	if names, _ := os.ReadDir(to); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}
