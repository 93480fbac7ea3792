package physical_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

func TestOneFlippedBitOfEachObjectOfABaseBackupIsFound(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	path := t.TempDir()
	r := inDir(t, path)
	archive(t, pg, r, source)
	m := run(t, options(r, target(t, pg.URL("postgres")))).Manifest
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, object := range m.Objects {
		file := filepath.Join(path, m.Ref().DataPrefix(), object.Name)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		flip := func() {
			data[len(data)/2] ^= 0x10
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		report, err := verify.Run(t.Context(), verify.Options{Repo: r.Repository, Points: points, Now: time.Now()})
		if err != nil || len(report.Bad) != 1 || report.Bad[0].Object != object.Name {
			t.Errorf("%s: %+v, %v", object.Name, report, err)
		}
		flip()
		found[object.Stream] = true
	}
	for _, stream := range []string{contents.StreamArchive, contents.StreamEntries, contents.StreamManifest, repo.StreamIndex} {
		if !found[stream] {
			t.Errorf("there is no stream %s", stream)
		}
	}
	wantNothing(t, r, 1)
}
