package globals_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/globals"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func newRepo(t *testing.T) *repo.Repository {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func target(t *testing.T, url string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// A pg_dumpall that exits with 0 and did not come to its end.
func TestGlobalsThatDoNotEndAreNoBackup(t *testing.T) {
	pg := testenv.Postgres(t)
	bin := t.TempDir()
	for _, tool := range []string{"pg_restore", "pg_dump", "psql"} {
		if err := os.Symlink(filepath.Join(pg.Bin, tool), filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(bin+"/pg_dumpall", []byte("#!/bin/sh\ncase \"$*\" in *--version*|*--help*) exec '"+pg.Bin+"/pg_dumpall' \"$@\";; esac\n'"+pg.Bin+"/pg_dumpall' \"$@\" | head -c 300\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGBACKUP_PG_BIN", bin)
	o := globals.Options{Options: point.Options{Repo: newRepo(t), Source: "db", Self: repo.Self()}, Target: target(t, pg.URL("postgres"))}
	if _, err := globals.Run(t.Context(), o); !errors.Is(err, point.ErrEmpty) || !strings.Contains(err.Error(), "last line") {
		t.Error(err)
	}
	t.Setenv("PGBACKUP_PG_BIN", pg.Bin)
	result, err := globals.Run(t.Context(), o)
	if err != nil || result.Manifest.Totals.Bytes == 0 || result.Manifest.Server.SystemIdentifier == "" {
		t.Errorf("%+v %v", result.Manifest, err)
	}
}
