package rotate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// dyingByKey is a store that goes away after some keys were deleted, also in the midst
// of those that one call deletes.
type dyingByKey struct {
	objstore.Store
	left int
}

func (d *dyingByKey) Delete(ctx context.Context, keys ...string) error {
	n := min(d.left, len(keys))
	d.left -= n
	if n > 0 {
		if err := d.Store.Delete(ctx, keys[:n]...); err != nil {
			return err
		}
	}
	if n < len(keys) {
		return errDied
	}
	return nil
}

// Any history of a server, any rules, and a rotation that is killed at any deletion:
// what stays can be recovered, and the next rotation finishes the work.
func TestARotationKilledAtAnyDeletionLeavesEveryBaseBackupAndTheWindowWhole(t *testing.T) {
	t.Parallel()
	place, n := folder(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s := newWALServer(opened(t, filepath.Join(place, fmt.Sprint(n)), true), "db")
		at := now.AddDate(0, 0, -12)
		for range rapid.IntRange(4, 14).Draw(rt, "events") {
			switch rapid.IntRange(0, 6).Draw(rt, "event") {
			case 0, 1, 2:
				at = at.Add(2 * time.Hour)
				s.segment(at)
			case 3, 4:
				s.base(at, "prod")
				at = at.Add(time.Hour)
			case 5:
				at = at.Add(time.Minute)
				s.fork(at)
			case 6: // lost
				s.next++
			}
			at = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "hours")) * time.Hour)
		}
		s.base(at, "prod")
		s.at(now)
		keep := retention.Keep{KeepLast: rapid.IntRange(1, 3).Draw(rt, "last")}
		if rapid.Bool().Draw(rt, "with a window") {
			keep.WAL = duration.MustParse(rapid.SampledFrom([]string{"12h", "2d", "6d"}).Draw(rt, "wal"))
		}
		before := s.survey()
		plan, err := Plan(t.Context(), s.options(keep))
		if err != nil {
			rt.Fatal(err)
		}
		r, err := repo.Open(t.Context(), &dyingByKey{s.Store(), rapid.IntRange(0, 30).Draw(rt, "deletions")}, repo.OpenOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		opts := s.options(keep)
		opts.Repo = r
		if _, err := Run(t.Context(), opts); err != nil && !errors.Is(err, errDied) {
			rt.Fatal(err)
		}
		check := func(when string) {
			after := s.survey()
			useful := map[string]bool{}
			for _, b := range before.Bases {
				useful[b.Ref.ID] = b.Problem == ""
			}
			for _, b := range after.Bases {
				if useful[b.Ref.ID] && b.Problem != "" {
					rt.Fatalf("%s: %s stays and %s", when, b.Ref.ID, b.Problem)
				}
			}
			from, to, ok := after.Window()
			if w := plan.WAL[0].After; w != nil && (!ok || from.After(w.From) || to.Before(w.To)) {
				rt.Fatalf("%s: recoverable is %s to %s (%v), promised was %+v", when, from, to, ok, w)
			}
		}
		check("killed")
		if _, err := Run(t.Context(), s.options(keep)); err != nil {
			rt.Fatal(err)
		}
		check("finished")
		if w := plan.WAL[0]; len(s.names()) != w.Keep.Files {
			rt.Fatalf("%d files are left, the plan kept %d", len(s.names()), w.Keep.Files)
		}
	})
}
