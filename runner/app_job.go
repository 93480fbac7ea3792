package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// maxJobFile bounds a job file in bytes: whatever is larger is something else.
const maxJobFile = 1 << 20

// readJob reads the job that --job names: a file of this machine, or an object in
// a bucket, which is what schedules in AWS give.
func (a *app) readJob(ctx context.Context) error {
	name := a.flags.job
	if name == "" {
		return nil
	}
	read := os.ReadFile
	if isBucketURL(name) {
		read = func(string) ([]byte, error) { return a.fetchJob(ctx, name) }
	}
	data, err := read(name)
	switch {
	case isBucketURL(name) && err != nil:
		return err
	case err != nil:
		return usagef("read job file: %w", err)
	}
	j, err := job.Parse(data)
	if err != nil {
		return usagef("job file %s: %w", name, err)
	}
	a.job, a.jobFile = &j, data
	return a.refuseOnLambda()
}

func isBucketURL(name string) bool { return strings.HasPrefix(name, "s3://") }

// fetchJob reads a job file from a bucket: s3://bucket/key, with region and
// endpoint as the URL of a repository has them. A key that holds the hash of the
// file is held to it.
func (a *app) fetchJob(ctx context.Context, name string) ([]byte, error) {
	at, err := a.bucketPlace("--job", name)
	if err != nil {
		return nil, err
	}
	key := at.Prefix
	if key == "" {
		return nil, usagef("--job %s: names a bucket and no job file in it: give s3://bucket/prefix/jobs/NAME/….json", name)
	}
	at.Prefix = ""
	store, err := a.openStore(ctx, at, location.OpenOptions{})
	if err != nil {
		return nil, fmt.Errorf("--job %s: %w", name, err)
	}
	data, err := fetch(ctx, store, key)
	switch {
	case errors.Is(err, objstore.ErrNotFound), errors.Is(err, objstore.ErrNoBucket):
		return nil, exitcode.Errorf(exitcode.NotFound, "job file %s: %w; apply the configuration that deploys it", name, err)
	case errors.Is(err, objstore.ErrTransient):
		return nil, fmt.Errorf("job file %s: %w; a replica of the bucket has it under the same key: --job 's3://REPLICA/%s?region=REGION'", name, err, key)
	case err != nil:
		return nil, fmt.Errorf("job file %s: %w", name, err)
	}
	return data, usage(job.CheckFile(key, data))
}

// fetch reads a small object.
func fetch(ctx context.Context, store objstore.Store, key string) ([]byte, error) {
	r, info, err := store.Get(ctx, key, objstore.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size > maxJobFile {
		return nil, fmt.Errorf("it has %d bytes: that is no job file", info.Size)
	}
	return io.ReadAll(io.LimitReader(r, maxJobFile))
}

// refuseOnLambda says at once what would fail with a riddle later: what a job of
// these kinds needs is not there.
func (a *app) refuseOnLambda() error {
	if !a.onLambda {
		return nil
	}
	switch kind := a.job.Kind; {
	case kind.NeedsTools():
		return usagef("job %q is of kind %s, which runs the programs of PostgreSQL: AWS Lambda has none; give it run_on fargate", a.job.Name, kind)
	case kind == job.KindFiles, kind == job.KindCommand:
		return usagef("job %q is of kind %s, which reads a machine that AWS Lambda is not: give it run_on host or kubernetes", a.job.Name, kind)
	}
	return nil
}
