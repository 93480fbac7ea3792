package repo_test

import (
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

const sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestAKeyIsOursWhenItHasTheFormThatWeWrite(t *testing.T) {
	t.Parallel()
	ref := repo.Ref{Source: "app@größe/1", Kind: "rds_snapshot", ID: repo.NewID(time.Now())}
	child := ref
	child.Parent = repo.NewID(time.Now())
	for _, key := range []string{
		"repository.json", "keys/1.json", "keys/12.json", "protection/000001.json",
		policy.RevisionKey("prod", 3, sum), "policies/prod/000004.claim",
		ref.DataPrefix() + "archive.0000", child.DataPrefix() + "files-1.12345",
		"tombstones/app/logical/" + ref.ID + ".json",
		"holds/app/logical/" + ref.ID + "/000001-held.json", "condemned/app/logical/" + ref.ID + "/000002-cleared.json",
		"tiers/app/logical/" + ref.ID + "/000001-monthly@prod.json", "extended/app/20260301T020000Z-abcdefg2.json",
		"locks/app%2Fx.json", "locks/probe-abcdefghij27",
		job.Key("nightly", nil), runnerdist.LambdaKey(sum, "arm64"), "runner/" + sum + "/linux_amd64/pgbackup-runner",
		usemark.Use{Runner: sum, Job: "nightly", Target: "github_actions", File: sum}.Key(),
		ref.ManifestKey(), child.ManifestKey(),
	} {
		if !repo.Owns(key) {
			t.Errorf("%s is not taken for ours", key)
		}
	}
	if !repo.OwnsPoint(ref.ManifestKey()) || !repo.OwnsPoint(child.DataPrefix()+"index.0000") || repo.OwnsPoint("keys/1.json") || repo.OwnsPoint("points/x") {
		t.Error("what is part of a recovery point is not told")
	}
}

func TestAKeyInAFolderOfOursIsNotOursForThat(t *testing.T) {
	t.Parallel()
	id := repo.NewID(time.Now())
	for _, key := range []string{
		"audit/2025/x", "jobs/etl/y", "keys/tls.pem", "runner/z", "policies/x", "locks/x", "drills/1", "wal/0000",
		"keys/0.json", "keys/1.json.bak", "keys/a/1.json", "protection/1.json", "policies/prod/v1.json", "policies/prod/000001.claim.old",
		"manifests/app/logical/today.json", "manifests/app/logical/" + id, "manifests/app/" + id + ".json",
		"points/" + "app/logical/" + id + "/notes.txt", "points/app/logical/" + id + "/archive.0000/x", "points/app/logical/latest/archive.0000",
		"holds/app/logical/" + id + "/why.txt", "tiers/app/logical/" + id + "/000001-held.json", "tombstones/app/logical/" + id + "~" + id + ".json",
		"jobs/etl/run.json", "jobs/" + sum + ".json", "runner/" + sum, "runner/" + sum + "/linux_amd64/other", "runner/config.toml",
		"extended/app/notes.json", "locks/a b.json", "locks/probe", "repository.json.old", "notes.txt", "",
		// Of repositories that lie inside a folder of ours.
		"points/repository.json", "points/keys/1.json", "points/manifests/app/logical/" + id + ".json", "points/points/app/logical/" + id + "/archive.0000",
		"runner/policies/prod/000001-" + sum[:12] + ".json", "manifests/manifests/app/logical/" + id + ".json",
	} {
		if repo.Owns(key) || repo.OwnsPoint(key) {
			t.Errorf("%s is taken for ours", key)
		}
	}
}
