package runnerbinary

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Earlier programs stay in a bucket while a deployment is marked as using them,
// and the one before the present one always: somebody may have deployed that by
// other means. What this resource did not bring it never removes.

// earlierKey is where the hashes of what was brought survive, out of sight of
// users, the newest last.
const earlierKey = "brought"

// maxEarlier bounds what is remembered.
const maxEarlier = 200

func recallEarlier(stored []byte) (sums []string) {
	if json.Unmarshal(stored, &sums) != nil {
		return nil
	}
	return sums
}

// withBuilds adds the present builds at the end.
func withBuilds(sums []string, builds []runnerdist.Build) []string {
	for _, b := range builds {
		sums = append(slices.DeleteFunc(sums, func(s string) bool { return s == b.SHA256 }), b.SHA256)
	}
	return sums[max(0, len(sums)-maxEarlier):]
}

func saveEarlier(ctx context.Context, private privateState, sums []string) diag.Diagnostics {
	data, err := json.Marshal(sums)
	if err != nil {
		return nil
	}
	return private.SetKey(ctx, earlierKey, data)
}

// used gives the hashes that a deployment is marked as using, and by which job, one
// that runs rather than one that ended.
func (o objects) used(ctx context.Context) (map[string]usemark.Use, error) {
	by := map[string]usemark.Use{}
	for info, err := range o.store.List(ctx, usemark.Folder) {
		if err != nil {
			return nil, fmt.Errorf("list who uses the runner: %w", err)
		}
		if u, ok := usemark.ParseUse(info.Key); ok {
			if before, seen := by[u.Runner]; !seen || before.Ended() {
				by[u.Runner] = u
			}
		}
	}
	return by, nil
}

// removeUnused removes the programs of sums that no deployment uses, but for
// those of keep, and gives the hashes that remain.
func (o objects) removeUnused(ctx context.Context, sums, keep []string) (remain []string, err error) {
	used, err := o.used(ctx)
	if err != nil {
		return sums, err
	}
	var keys []string
	for _, sum := range sums {
		if _, is := used[sum]; is || slices.Contains(keep, sum) {
			remain = append(remain, sum)
			continue
		}
		for _, arch := range []string{runnerdist.AMD64, runnerdist.ARM64} {
			keys = append(keys, runnerdist.Key(sum, arch), runnerdist.LambdaKey(sum, arch))
		}
	}
	if len(keys) == 0 {
		return remain, nil
	}
	return remain, o.store.Delete(ctx, keys...)
}

// deleteAll removes every program that was brought, now that the resource goes;
// what a schedule still uses stays.
func (o objects) deleteAll(ctx context.Context, m model, sums []string) (diags diag.Diagnostics) {
	remain, err := o.removeUnused(ctx, sums, nil)
	if err != nil {
		diags.AddError(summary("deleting", m), valid.Sentence(err))
		return diags
	}
	used, err := o.used(ctx)
	for _, sum := range slices.Compact(slices.Sorted(slices.Values(remain))) {
		u, is := used[sum]
		switch {
		case !is || err != nil:
		case u.Ended():
			diags.AddWarning(fmt.Sprintf("pgbackup_runner (%s): the program %.12s was left, because runs of schedule %s may still ask for it", m.name(), sum, u.Job),
				"They began before that schedule changed. Remove runner/"+sum+"/ from the repository in a day.")
		default:
			diags.AddWarning(fmt.Sprintf("pgbackup_runner (%s): the program %.12s was left, because schedule %s on %s uses it", m.name(), sum, u.Job, u.Target),
				"It would fail from the next run on. Destroy that schedule, or have it use another runner, and remove runner/"+sum+"/ from the repository.")
		}
	}
	return diags
}
