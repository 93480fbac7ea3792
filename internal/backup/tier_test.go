package backup_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestABackupIsUploadedInItsTier(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	server := testenv.S3(t)
	r := create(t, bucket(t, server, server.Endpoint, time.Minute))
	o := options(r, target(t, pg.URL("app")))
	o.StorageClass, o.Tier, o.Tags = "STANDARD", "hourly", repo.TierTags("prod", "hourly")
	result, err := backup.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Manifest.Tier != "hourly" {
		t.Errorf("the manifest says tier %q", result.Manifest.Tier)
	}
	tagged := 0
	for info, err := range r.store.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		tags, err := r.store.(objstore.Tagger).Tags(context.Background(), info.Key)
		want := map[string]string{}
		if strings.HasPrefix(info.Key, "points/") {
			tagged++
			want = o.Tags
		}
		if err != nil || fmt.Sprint(tags) != fmt.Sprint(want) {
			t.Errorf("tags of %s are %v, %v; want %v", info.Key, tags, err, want)
		}
	}
	if tagged != len(result.Manifest.Objects) {
		t.Errorf("%d objects are tagged, the manifest names %d", tagged, len(result.Manifest.Objects))
	}
}
