package proof

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
)

// forge makes another backup of one: a row is changed, and everything that speaks
// of it is made again as the format asks for.
func forge(t *testing.T, c contents) contents {
	t.Helper()
	honest, forged := []byte("\t1.25\tf\n"), []byte("\t9.25\tf\n")
	if bytes.Count(c.archive, honest) != 1 {
		t.Fatalf("%d rows are like the one to be forged", bytes.Count(c.archive, honest))
	}
	c.archive = bytes.Replace(c.archive, honest, forged, 1)
	reader := pgarchive.NewReader(pgarchive.Events{})
	if _, err := io.Copy(reader, bytes.NewReader(c.archive)); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.tables, c.manifest.Totals, err = logical.EncodeRecords(reader.Data()); err != nil {
		t.Fatal(err)
	}
	return c
}

// A repository that is not sealed has nothing that only its owner could make, so
// whoever may write to it can make a backup of his own. No reading finds that; what
// can be done is to say so, and to seal.
func TestAConsistentForgeryOfAnUnsealedPointIsNotFoundAndThatIsSaid(t *testing.T) {
	t.Parallel()
	v := newVictim(t, false)
	v.original = &original{path: v.original.path, manifest: v.manifest}
	r, err := v.open()
	if err != nil {
		t.Fatal(err)
	}
	if v.ref, err = write(context.Background(), r, forge(t, originals[false].contents), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if report := v.verify(); report.Err() != nil {
		t.Fatalf("the forgery is not a good one: %v", report.Err())
	}
	var said bytes.Buffer
	v.log = slog.New(slog.NewTextHandler(&said, nil))
	for name, do := range map[string]func(){
		"restore": func() {
			if db, err := v.restore(); err != nil {
				t.Errorf("restore into %s: %v", db, err)
			}
		},
		"drill": func() {
			if report := v.drill(false); report.Outcome != drillreport.Proven {
				t.Errorf("drill: %s: %s", report.Outcome, report.Reason)
			}
		},
	} {
		said.Reset()
		do()
		if !strings.Contains(said.String(), "the repository is not encrypted: nothing proves that nobody edited this backup") {
			t.Errorf("%s does not say that it can not know: %s", name, said.String())
		}
	}
}

// TestNobodyWithoutTheKeyForgesASealedPoint puts the same forgery, made out to be
// of the sealed repository, in the place of a point of it.
func TestNobodyWithoutTheKeyForgesASealedPoint(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	forger, v := newVictim(t, false), newVictim(t, true)
	r, err := forger.open()
	if err != nil {
		t.Fatal(err)
	}
	made, err := write(ctx, r, forge(t, originals[false].contents), v.manifest.Start)
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{logical.StreamArchive, repo.StreamIndex, logical.StreamTables, logical.StreamGlobals} {
		v.overwrite(v.file(v.ref, stream), forger.read(forger.file(made, stream)))
	}
	for _, seal := range []bool{false, true} {
		v.overwrite(v.file(v.ref, "manifest"), edited(t, forger.read(forger.file(made, "manifest")), func(m map[string]any) {
			m["repository"], m["id"] = v.manifest.Repository, v.ref.ID
			if seal { // what stands in the clear in the honest one
				m["seal"] = v.manifest.Seal
			}
		}))
		v.wantFound(damage{name: "forged"})
	}

	// Nor does changing one word make a repository of it that is not sealed.
	whole := filepath.Join(v.path, "repository.json")
	v.overwrite(whole, bytes.Replace(v.read(whole), []byte(`"sealed":true`), []byte(`"sealed":false`), 1))
	if bytes.Equal(v.read(whole), v.read(filepath.Join(v.original.path, "repository.json"))) {
		t.Fatalf("repository.json was not changed: %s", v.read(whole))
	}
	if err := os.RemoveAll(filepath.Join(v.path, "keys")); err != nil {
		t.Fatal(err)
	}
	if db, err := v.restore(); err == nil {
		t.Errorf("%s was restored from a repository that only claims not to be sealed", db)
	} else if restore.IsBadBackup(err) == false && !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
}
