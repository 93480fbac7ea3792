package dir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
)

func TestTheFoldersAboveAreLookedAt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := dir.Create(filepath.Join(root, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if places, err := s.Above(t.Context(), "mark.json"); err != nil || len(places) != 0 {
		t.Errorf("%q, %v", places, err)
	}
	for _, folder := range []string{"", "a"} {
		if err := os.WriteFile(filepath.Join(root, folder, "mark.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "a", "b", "c"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	linked, err := dir.Open(filepath.Join(root, "link"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = linked.Close() })
	for name, store := range map[string]*dir.Store{"itself": s, "by a link": linked} {
		places, err := store.Above(t.Context(), "mark.json")
		if err != nil || len(places) != 2 || !strings.HasSuffix(places[0], "/a") || !strings.HasPrefix(places[1], "file:///") {
			t.Errorf("%s: %q, %v", name, places, err)
		}
	}
}
