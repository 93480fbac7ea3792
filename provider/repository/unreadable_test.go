package repository

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

func TestAnUnreadableRepositoryIsNamedWithWhatFollows(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "pg")
	at := location.Location{Directory: place}
	warning := func() string {
		_, err := connection.New(connection.Settings{}).OpenRepository(t.Context(), at, "")
		if err == nil {
			t.Fatal("it can be read")
		}
		return unreadable(at.String(), err)
	}
	if got := warning(); !strings.Contains(got, place+") is not there, so that no backup") {
		t.Error(got)
	}
	store, err := dir.Create(place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(place, "repository.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), `"created":"2`, `"created":"1`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := warning(); !strings.Contains(got, place+") is damaged, so that no backup") {
		t.Error(got)
	}
}
