package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
)

// papers are what a deployment needs in repositories: the job's file, and marks
// beside the builds of the runner that it uses.
type papers struct {
	content    []byte            // of the job's file
	repository location.Location // of the job's file
	key        string            // of the job's file there; "" when it is not needed there
	runners    location.Location // where the builds are
	uses       []runnerdist.Use
}

// newPapers of a job on a target. The file is left out where something else
// carries it.
func newPapers(j job.Job, target string, release runnerdist.Release, file bool) (*papers, error) {
	at, err := location.Parse(j.Repository)
	if err != nil {
		return nil, err
	}
	p := &papers{repository: at}
	if p.content, err = j.Encode(); err != nil {
		return nil, err
	}
	if file {
		p.key = job.Key(j.Name, p.content)
	}
	if p.runners, err = location.Parse(release.Repository); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	p.uses = uses(j.Name, target, hexSum(p.content), release)
	return p, nil
}

func uses(name, target, file string, release runnerdist.Release) (list []runnerdist.Use) {
	for _, sum := range release.SHA256 {
		list = append(list, runnerdist.Use{Runner: sum, Job: name, Target: target, File: file})
	}
	return list
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

var jobKey = regexp.MustCompile(`(?:^|/)(jobs/[^/]+/([0-9a-f]{64})\.json)$`)

// splitJobURL splits what deploy.JobURL makes into the repository, the key of the
// job's file, and the hash in it.
func splitJobURL(url string) (at location.Location, key, sum string, err error) {
	if at, err = location.Parse(url); err != nil {
		return at, "", "", err
	}
	m := jobKey.FindStringSubmatch(at.Prefix)
	if m == nil {
		return at, "", "", fmt.Errorf("%s is not where a job file is", url)
	}
	at.Prefix = path.Clean(at.Prefix[:len(at.Prefix)-len(m[1])])
	if at.Prefix == "." {
		at.Prefix = ""
	}
	return at, m[1], m[2], nil
}

// put brings the papers to where a run looks for them, the marks first: from then
// on nobody takes the runner away.
func (r *Resource) put(ctx context.Context, p *papers) error {
	if p == nil {
		return nil
	}
	if len(p.uses) > 0 {
		store, err := r.conn.OpenStore(ctx, p.runners, false)
		if err != nil {
			return fmt.Errorf("marking the runner as used: %w", err)
		}
		for _, u := range p.uses {
			if _, err := store.Put(ctx, u.Key(), nil, objstore.PutOptions{}); err != nil {
				return fmt.Errorf("marking the runner as used: %w", err)
			}
		}
	}
	if p.key == "" {
		return nil
	}
	store, err := r.conn.OpenStore(ctx, p.repository, false)
	if err == nil {
		_, err = store.Put(ctx, p.key, p.content, objstore.PutOptions{ContentType: "application/json"})
	}
	if err != nil {
		return fmt.Errorf("writing the job file: %w", err)
	}
	return nil
}

// readJob takes the job file as it is: whatever was done to it differs from what
// is rendered.
func (r *Resource) readJob(ctx context.Context, m *model) error {
	if m.JobURL.ValueString() == "" {
		return nil
	}
	at, key, _, err := splitJobURL(m.JobURL.ValueString())
	if err != nil {
		return err
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	if err != nil {
		return err
	}
	content, err := readAll(ctx, store, key)
	switch {
	case err == nil:
		m.JobJSON = optional(string(content))
	case errors.Is(err, objstore.ErrNotFound):
		m.JobJSON = optional("")
	default:
		return fmt.Errorf("reading the job file: %w", err)
	}
	return nil
}

// mostJobFile is far above what a job file has.
const mostJobFile = 4 << 20

func readAll(ctx context.Context, store objstore.Store, key string) ([]byte, error) {
	r, _, err := store.Get(ctx, key, objstore.GetOptions{})
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, mostJobFile))
	return data, errors.Join(err, r.Close())
}

// discard removes the papers of a deployment that is no more: its marks, and the
// job files that no other mark names. keep are those of the deployment that took
// its place, nil for none.
func (r *Resource) discard(ctx context.Context, old model, target string, keep *papers) error {
	release, err := runnerdist.ParseRelease(old.Runner.ValueString())
	if err != nil || release.Repository == "" {
		return nil //nolint:nilerr // this host, which has none
	}
	at, key, sum, fileErr := splitJobURL(old.JobURL.ValueString())
	files, err := r.discardMarks(ctx, release.Repository, old.Name.ValueString(), target, sum, keep)
	if err != nil || fileErr != nil {
		return err
	}
	var keys []string
	for file := range files {
		k := path.Join(path.Dir(key), file+".json")
		if keep == nil || keep.repository != at || keep.key != k {
			keys = append(keys, k)
		}
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

// discardMarks removes the marks of a job on a target and gives the job files that
// no mark names any more.
func (r *Resource) discardMarks(ctx context.Context, repository, name, target, file string, keep *papers) (map[string]bool, error) {
	at, err := location.Parse(repository)
	if err != nil {
		return nil, err
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	if err != nil {
		return nil, err
	}
	unnamed, named := map[string]bool{file: true}, map[string]bool{}
	var marks []string
	for info, err := range store.List(ctx, runnerdist.Folder) {
		if errors.Is(err, objstore.ErrNoBucket) {
			return unnamed, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing who uses the runner: %w", err)
		}
		u, ok := runnerdist.ParseUse(info.Key)
		switch {
		case !ok || u.Job != name:
		case u.Target == target && (keep == nil || keep.runners != at || !slices.Contains(keep.uses, u)):
			marks = append(marks, info.Key)
			unnamed[u.File] = true
		default:
			named[u.File] = true
		}
	}
	if err := store.Delete(ctx, marks...); err != nil {
		return nil, fmt.Errorf("removing the marks of what used the runner: %w", err)
	}
	for sum := range named {
		delete(unnamed, sum)
	}
	return unnamed, nil
}
