package deployment

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

// A run that AWS has started already asks for the job file and the runner of the
// deployment that it was started for, a little later. What an update replaces
// therefore stays for grace, with marks that say since when, and goes with the next
// update after that, or when the resource is destroyed.

// grace is far longer than a task needs to start, retries included.
const grace = 24 * time.Hour

// discard ends the papers of a deployment that is no more: its marks, and the job
// files that no other mark names. keep are those of the deployment that took its
// place, and nil when none did: then nothing stays.
func (r *Resource) discard(ctx context.Context, old *Model, target string, keep *papers) error {
	release, err := runnerdist.ParseRelease(old.Runner.ValueString())
	if err != nil || release.Repository == "" {
		return nil //nolint:nilerr // this host, which has none
	}
	runners, err := location.Parse(release.Repository)
	if err != nil {
		return err
	}
	at, key, sum, fileErr := splitJobURL(old.JobURL.ValueString())
	if fileErr != nil { // its job file is nowhere: a directory of another machine has it, or the text itself
		at, key, sum = location.Location{}, "", ""
	}
	name := old.Name.ValueString()
	ours, err := r.ownMarks(ctx, runners, folder{at, name}, sum)
	if err != nil {
		return err
	}
	e := ending{target: target, sum: sum, keep: keep}
	// In other repositories nobody would look for what stayed.
	e.stays = keep != nil && key != "" && keep.runners == runners && keep.repository == at
	if keep != nil && keep.runners != runners {
		e.keep = &papers{repository: keep.repository, key: keep.key}
	}
	out, files, err := e.of(ours, func(u usemark.Use) (bool, error) { return r.longAgo(ctx, runners, u) })
	if err != nil {
		return err
	}
	marks := r.conn.Marks(runners)
	if err := marks.Add(ctx, out.replaced...); err != nil {
		return err
	}
	if err := marks.Remove(ctx, out.marks...); err != nil {
		return err
	}
	var keys []string
	for _, file := range files {
		k := path.Join(path.Dir(key), file+".json")
		if key != "" && (keep == nil || keep.repository != at || keep.key != k) {
			keys = append(keys, k)
		}
	}
	return r.removeFiles(ctx, at, keys...)
}

// removeFiles removes job files. A bucket that is gone has none.
func (r *Resource) removeFiles(ctx context.Context, at location.Location, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	if err == nil {
		err = store.Delete(ctx, keys...)
	}
	if err != nil && !errors.Is(err, objstore.ErrNoBucket) {
		return fmt.Errorf("removing the earlier job file: %w", err)
	}
	return nil
}

// ending says which papers of a job end.
type ending struct {
	target string  // of the deployment that is no more
	sum    string  // of its job file, "" for none
	keep   *papers // of the one in its place
	stays  bool    // for grace
}

// going are marks to remove, and those that are written in the place of some.
type going struct{ marks, replaced []usemark.Use }

// of gives the marks that go, and the hashes of the job files that nothing names
// any more. longAgo says whether a mark of an ended deployment has stayed long
// enough.
func (e ending) of(all []usemark.Use, longAgo func(usemark.Use) (bool, error)) (g going, files []string, err error) {
	named, candidates := map[string]bool{}, []string{e.sum}
	for _, u := range all {
		ends := !u.Ended() && u.Target == e.target && (e.keep == nil || !slices.Contains(e.keep.uses, u))
		if u.Ended() {
			if ends = !e.stays; e.stays {
				if ends, err = longAgo(u); err != nil {
					return going{}, nil, err
				}
			}
		}
		switch {
		case !ends:
			named[u.File] = true
			continue
		case e.stays && !u.Ended():
			g.replaced = append(g.replaced, u.End())
			named[u.File] = true
		}
		g.marks = append(g.marks, u)
		candidates = append(candidates, u.File)
	}
	slices.Sort(candidates)
	for _, file := range slices.Compact(candidates) {
		if file != "" && !named[file] {
			files = append(files, file)
		}
	}
	return g, files, nil
}

// longAgo reports whether the deployment of a mark ended before grace began.
func (r *Resource) longAgo(ctx context.Context, at location.Location, u usemark.Use) (bool, error) {
	store, err := r.conn.OpenStore(ctx, at, false)
	if err != nil {
		return false, err
	}
	info, err := store.Head(ctx, u.Key(), "")
	if errors.Is(err, objstore.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking when the deployment on %s ended: %w", u.Target, err)
	}
	return time.Since(info.Modified) > grace, nil
}

// folder is where the job files of one name are in a repository.
type folder struct {
	at  location.Location
	job string
}

// ownMarks are the marks of a job. Those beside one runner can be of jobs of the
// same name in several repositories: what is ours has its file in our folder. The
// file with the hash sum is ours in any case. Without a folder all are.
func (r *Resource) ownMarks(ctx context.Context, runners location.Location, f folder, sum string) ([]usemark.Use, error) {
	all, err := r.conn.Marks(runners).Of(ctx, f.job)
	strange := func(u usemark.Use) bool { return u.File != sum }
	if err != nil || f.at == (location.Location{}) || !slices.ContainsFunc(all, strange) {
		return all, err
	}
	store, err := r.conn.OpenStore(ctx, f.at, false)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{sum: true}
	for info, err := range store.List(ctx, "jobs/"+f.job+"/") {
		if errors.Is(err, objstore.ErrNoBucket) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing the job files: %w", err)
		}
		if m := jobKey.FindStringSubmatch(info.Key); m != nil {
			there[m[2]] = true
		}
	}
	return slices.DeleteFunc(all, func(u usemark.Use) bool { return !there[u.File] }), nil
}

// papersFree holds that no other schedule of the name has its text applied by
// somebody: where nothing can be looked at, the marks tell.
func (r *Resource) papersFree(ctx context.Context, d *rendering, m *Model) error {
	p := d.papers()
	if p == nil || p.key == "" || !byHand(d.name) {
		return nil
	}
	sum := hexSum(p.content)
	marks, err := r.ownMarks(ctx, p.runners, folder{p.repository, p.name}, sum)
	if err != nil {
		return err
	}
	for _, u := range marks {
		if u.Target == d.name && u.File != sum {
			return fmt.Errorf("a job %q on %s is in %s already, with another job (jobs/%s/%s.json): import it (terraform import ADDRESS '%s'), or give this one another name",
				p.name, d.name, p.repository, p.name, u.File, m.ID.ValueString())
		}
	}
	return nil
}
