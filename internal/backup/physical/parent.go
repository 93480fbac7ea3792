package physical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// incrementalMajor is the oldest major that takes incremental backups.
const incrementalMajor = 17

// chain is a point and all that it builds on, newest first; the last is full.
type chain []repo.Listed

// newestChain is the one that a new incremental can build on: of the newest good point
// whose parents are all good. nil: there is none. points are newest first.
func newestChain(points []repo.Listed) chain {
	byID := map[string]repo.Listed{}
	for _, p := range points {
		byID[p.ID] = p
	}
	for _, p := range points {
		var c chain
		for p.Verified() && len(c) < len(points) {
			c = append(c, p)
			if p.Parent == "" {
				return c
			}
			p = byID[p.Parent] // one that is not there is not verified
			if p.ID == "" {
				break
			}
		}
	}
	return nil
}

// parent is the point that a backup of this server builds on. "" without a reason: a
// full one is due. With a reason: an incremental one was wanted and can not be.
func (r *run) parent(ctx context.Context, now time.Time) (ref repo.Ref, why string, err error) {
	if r.What.Incremental == nil {
		return repo.Ref{}, "", nil
	}
	if r.server.cluster.Major < incrementalMajor {
		return repo.Ref{}, fmt.Sprintf("the server is PostgreSQL %d, and incremental backups begin with %d", r.server.cluster.Major, incrementalMajor), nil
	}
	points, err := r.Repo.List(ctx, repo.Filter{Source: r.Source, Kind: string(job.KindPhysical)})
	if err != nil {
		return repo.Ref{}, "", err
	}
	c := newestChain(points)
	if c == nil || !c[len(c)-1].Start.Add(r.fullEvery()).After(now) {
		return repo.Ref{}, "", nil
	}
	m, err := r.Repo.Manifest(ctx, c[0].Ref)
	if errors.Is(err, repo.ErrDamaged) || errors.Is(err, repo.ErrNotFound) || errors.Is(err, repo.ErrNewerFormat) {
		return repo.Ref{}, fmt.Sprintf("the newest backup %s can not be built on: %v", c[0].ID, err), nil
	}
	if err != nil {
		return repo.Ref{}, "", err
	}
	if m.Server.SystemIdentifier != r.server.System || m.Server.Major != r.server.cluster.Major {
		return repo.Ref{}, "", nil // of another server, or before an upgrade: the first of this one is full
	}
	return c[0].Ref, "", nil
}

func (r *run) fullEvery() time.Duration {
	if every, exact := r.What.Incremental.FullEvery.Exact(); exact && every > 0 {
		return every
	}
	return job.DefaultFullEvery
}

// upload tells the server what to build on.
func (r *run) upload(ctx context.Context, ref repo.Ref) error {
	p, err := r.Repo.OpenPoint(ctx, ref)
	if err != nil {
		return err
	}
	body, err := p.Open(ctx, contents.StreamManifest)
	if err != nil {
		return err
	}
	defer body.Close()
	from := &watched{r: body}
	err = r.conn.UploadManifest(ctx, from)
	if from.err != nil {
		return from.err
	}
	return err
}

// hopeless tells an error after which nothing would work from one after which a full
// backup is the answer.
func hopeless(err error) bool {
	return !errors.Is(err, replication.ErrNotIncremental) && !errors.Is(err, repo.ErrDamaged) && !errors.Is(err, repo.ErrNotFound) && !errors.Is(err, repo.ErrArchived)
}

// watched keeps why reading failed: the server only hears that it did.
type watched struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}
