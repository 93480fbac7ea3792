package rds_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
)

// What an earlier run left is never in the way of the next snapshot.
func TestAFailedOrHangingSnapshotThatWasLeftBlocksNoLaterOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ status, refused, says string }{
		"hangs":               {"creating", "", "is creating and no recovery point yet: a later run finishes it"},
		"failed":              {"failed", "", "is failed: it is removed"},
		"failed, may not go":  {"failed", "DeleteDBSnapshot", "rds:DeleteDBSnapshot"},
		"ready, cannot be so": {"available", "AddTagsToResource", "rds:AddTagsToResource"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left := w.leave()
			w.as(c.status, left)
			w.front.set(c.refused, "AccessDenied")
			for n := 1; n <= 2; n++ {
				result := w.take()
				if result.Manifest == nil || len(w.points()) != n {
					t.Fatalf("%+v; %d points", result, len(w.points()))
				}
				if n > 1 && c.status == "failed" && c.refused == "" {
					continue // it was removed the first time
				}
				if !slices.ContainsFunc(result.Warnings, func(text string) bool { return strings.Contains(text, left) && strings.Contains(text, c.says) }) {
					t.Errorf("warnings %q", result.Warnings)
				}
			}
		})
	}
}

func TestAFailedAnswerToARequestIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asks := func(o *rds.Options) { o.Request = "release v2" }
	left := w.leave(asks)
	w.as("failed", left)
	got := w.take(asks)
	if got.Manifest == nil || got.Manifest.RDS.Snapshot == left || slices.Contains(w.snapshots(), left) {
		t.Errorf("%+v; there are %v", got, w.snapshots())
	}
}
