package s3_test

import (
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

func TestTheShorterPrefixesOfABucketAreLookedAt(t *testing.T) {
	t.Parallel()
	srv := gateway(t)
	cfg := srv.config
	cfg.Prefix = ""
	root := open(t, cfg)
	cfg.Prefix = "team/prod/deep"
	s := open(t, cfg)
	if places, err := s.Above(t.Context(), "mark.json"); err != nil || len(places) != 0 {
		t.Errorf("%q, %v", places, err)
	}
	for _, key := range []string{"mark.json", "team/prod/mark.json", "team/prod/deep/mark.json"} {
		if _, err := root.Put(t.Context(), key, nil, objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"s3://" + cfg.Bucket + "/team/prod", "s3://" + cfg.Bucket}
	if places, err := s.Above(t.Context(), "mark.json"); err != nil || !slices.Equal(places, want) {
		t.Errorf("%q, %v; want %q", places, err, want)
	}
	if places, err := root.Above(t.Context(), "mark.json"); err != nil || len(places) != 0 {
		t.Errorf("of the bucket itself: %q, %v", places, err)
	}
}
