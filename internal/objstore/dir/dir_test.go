package dir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
)

var always = objstore.PutOptions{}

func wantIs(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %q has more than one line", what, err)
	}
}

func TestAMissingDirectoryIsNoBucket(t *testing.T) {
	top := t.TempDir()
	_, err := dir.Open(filepath.Join(top, "none"))
	wantIs(t, "open", err, objstore.ErrNoBucket)
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = dir.Open(file)
	wantIs(t, "open a file", err, objstore.ErrNoBucket)

	s, err := dir.Create(filepath.Join(top, "new", "store"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", nil, always); err != nil {
		t.Fatal(err)
	}
	// An unmounted disk must not pass for an empty repository.
	if err := os.RemoveAll(filepath.Join(top, "new")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Head(t.Context(), "k", "")
	wantIs(t, "head", err, objstore.ErrNoBucket)
	_, err = s.Put(t.Context(), "k", nil, always)
	wantIs(t, "put", err, objstore.ErrNoBucket)
	wantIs(t, "delete", s.Delete(t.Context(), "k"), objstore.ErrNoBucket)
	_, err = s.PendingUploads(t.Context(), "")
	wantIs(t, "list uploads", err, objstore.ErrNoBucket)
	for _, err := range s.List(t.Context(), "") {
		wantIs(t, "list", err, objstore.ErrNoBucket)
	}
}

func TestAnObjectCanNotAlsoBeAFolder(t *testing.T) {
	s := open(t)
	for _, opts := range []objstore.PutOptions{always, {Condition: objstore.Condition{IfAbsent: true}}} {
		if _, err := s.Put(t.Context(), "a", nil, always); err != nil {
			t.Fatal(err)
		}
		_, err := s.Put(t.Context(), "a/b", nil, opts)
		wantIs(t, "put below an object", err, objstore.ErrInvalidKey)
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), "a/b", nil, always); err != nil {
			t.Fatal(err)
		}
		_, err = s.Put(t.Context(), "a", nil, opts)
		wantIs(t, "put over a folder", err, objstore.ErrInvalidKey)
		if err := s.Delete(t.Context(), "a/b"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheReservedFolderIsClosedToKeys(t *testing.T) {
	s := open(t)
	for _, key := range []string{".uploads", ".uploads/x"} {
		_, err := s.Put(t.Context(), key, nil, always)
		wantIs(t, "put "+key, err, objstore.ErrInvalidKey)
		_, err = s.Head(t.Context(), key, "")
		wantIs(t, "head "+key, err, objstore.ErrInvalidKey)
	}
	for info := range s.List(t.Context(), ".uploads/") {
		t.Errorf("listed %s", info.Key)
	}
}

func TestDeletingLeavesNoEmptyFoldersAndNoTemporaryFiles(t *testing.T) {
	root := t.TempDir()
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/b/c/d", "a/b/x"} {
		if _, err := s.Put(t.Context(), key, []byte("x"), always); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "a/b/c/d"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "a/b/c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty folder is still there (%v)", err)
	}
	if err := s.Delete(t.Context(), "a/b/x"); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(root, p); err == nil && !strings.Contains(rel, filepath.Join(".uploads", "locks")) {
			left = append(left, rel)
		}
		return err
	})
	if err != nil || !slices.Equal(left, []string{".", ".uploads"}) {
		t.Errorf("left %q (%v)", left, err)
	}
}

func TestFilesAndFoldersAreForTheOwnerOnly(t *testing.T) {
	root := t.TempDir()
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "f/k", nil, always); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"f": 0o700, "f/k": 0o600, ".uploads": 0o700} {
		if st, err := os.Stat(filepath.Join(root, name)); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v (%v), want %v", name, st.Mode().Perm(), err, want)
		}
	}
}

func TestSymbolicLinksLeadNowhereOutside(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"file": secret, "folder": outside, "up": ".."} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for info := range s.List(t.Context(), "") {
		t.Errorf("listed %s", info.Key)
	}
	for _, key := range []string{"file", "folder/secret", "up/x"} {
		if _, _, err := s.Get(t.Context(), key, objstore.GetOptions{}); err == nil {
			t.Errorf("%s could be read", key)
		}
		if strings.Contains(key, "/") {
			if _, err := s.Put(t.Context(), key, []byte("x"), always); err == nil {
				t.Errorf("%s could be written", key)
			}
			if err := s.Delete(t.Context(), key); err == nil {
				t.Errorf("%s could be deleted", key)
			}
		}
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("the file outside holds %q (%v)", got, err)
	}
}

func TestAStrangersFilesAreNotListed(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"lost+found/x", ".nfs0001", `back\slash`} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("listed %q (%v)", info.Key, err)
	}
}
