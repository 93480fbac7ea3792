package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// installed makes a directory with programs that tell a version.
func installed(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"pg_dump", "pg_restore", "pg_dumpall"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s (Debian %s-1)'\n", name, version, version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestToolsOfTheServersMajorArePreferredAndTheNextNewerTaken(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), installed(t, "18.1"), installed(t, "14.2"), installed(t, "16.9"), installed(t, "17beta1")}
	for server, want := range map[int]string{14: "14.2", 15: "16.9", 16: "16.9", 17: "17beta1", 18: "18.1"} {
		if got, err := findToolsIn(t.Context(), dirs, server); err != nil || got.Version != want {
			t.Errorf("server %d: %+v, %v", server, got, err)
		}
	}
}
