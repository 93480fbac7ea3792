package deployment

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
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

// papers are what a deployment needs in repositories: the job's file, and marks
// beside the builds of the runner that it uses.
type papers struct {
	name       string            // of the job
	content    []byte            // of the job's file
	repository location.Location // of the job's file
	key        string            // of the job's file there; "" when it is not needed there
	runners    location.Location // where the builds are
	uses       []usemark.Use
}

// newPapers of a job on a target. The file is left out where something else
// carries it.
func newPapers(j job.Job, target string, release runnerdist.Release, file bool) (*papers, error) {
	at, err := location.Parse(j.Repository)
	if err != nil {
		return nil, err
	}
	p := &papers{name: j.Name, repository: at}
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

func uses(name, target, file string, release runnerdist.Release) (list []usemark.Use) {
	for _, sum := range release.SHA256 {
		list = append(list, usemark.Use{Runner: sum, Job: name, Target: target, File: file})
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
	_, err := r.bringPapers(ctx, p, objstore.Condition{})
	return err
}

// brought are papers that were not there before.
type brought struct {
	uses []usemark.Use
	file bool
}

// putNew is put of a new deployment. It says what takeBack has to remove when the
// deployment comes to nothing.
func (r *Resource) putNew(ctx context.Context, p *papers) (made brought, err error) {
	if p == nil {
		return brought{}, nil
	}
	there, err := r.conn.Marks(p.runners).Of(ctx, p.name)
	if err != nil {
		return brought{}, err
	}
	for _, u := range p.uses {
		if !slices.Contains(there, u) {
			made.uses = append(made.uses, u)
		}
	}
	made.file, err = r.bringPapers(ctx, p, objstore.Condition{IfAbsent: true})
	if errors.Is(err, objstore.ErrPrecondition) {
		return made, r.put(ctx, p) // somebody may have changed it
	}
	return made, err
}

// bringPapers reports whether the job file was written.
func (r *Resource) bringPapers(ctx context.Context, p *papers, when objstore.Condition) (wrote bool, err error) {
	if p == nil {
		return false, nil
	}
	if err := r.conn.Marks(p.runners).Add(ctx, p.uses...); err != nil {
		return false, err
	}
	if p.key == "" {
		return false, nil
	}
	store, err := r.conn.OpenStore(ctx, p.repository, false)
	if err == nil {
		_, err = store.Put(ctx, p.key, p.content, objstore.PutOptions{ContentType: "application/json", Condition: when})
	}
	if err != nil {
		return false, fmt.Errorf("writing the job file: %w", err)
	}
	return true, nil
}

// takeBack removes what putNew brought.
func (r *Resource) takeBack(ctx context.Context, p *papers, made brought) error {
	if len(made.uses) > 0 {
		if err := r.conn.Marks(p.runners).Remove(ctx, made.uses...); err != nil {
			return err
		}
	}
	if !made.file {
		return nil
	}
	return r.removeFiles(ctx, p.repository, p.key)
}

// readJob takes the job file as it is: whatever was done to it differs from what
// is rendered.
func (r *Resource) readJob(ctx context.Context, m *Model) error {
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
		m.JobJSON = Optional(string(content))
	case errors.Is(err, objstore.ErrNotFound):
		m.JobJSON = Optional("")
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
