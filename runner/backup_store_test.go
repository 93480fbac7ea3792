package main

import (
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

func TestABackupIsStoredInTheClassOfTheTierItBeginsIn(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: testClock()})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]struct {
		class string
		tiers bool
	}{
		`{}`:                                    {"", false}, // STANDARD is what every store does by itself
		`{"class":"STANDARD"}`:                  {"", false},
		`{"class":"GLACIER_IR"}`:                {storageclass.GlacierIR, false},
		`{"classes":{"daily":"STANDARD_IA"}}`:   {storageclass.StandardIA, false}, // nothing goes on to a lower class
		`{"classes":{"yearly":"DEEP_ARCHIVE"}}`: {"", true},
		`{"transitions":[{"after":"90d","class":"GLACIER"}]}`: {"", true},
	} {
		d, err := policy.Parse([]byte(`{"format":1,"name":"prod","retention":{"keep_daily":3,"keep_yearly":5},"storage":` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		rules, err := d.Rules()
		if err != nil {
			t.Fatal(err)
		}
		b := &backupRun{opts: point.Options{Repo: r}}
		b.store(d, rules.UploadTier())
		if b.opts.StorageClass != want.class || b.opts.Tier != "daily" || b.opts.Tags != nil || hasTiers(d) != want.tiers { // a directory has no tags
			t.Errorf("%s: %+v", text, b.opts)
		}
	}
}
