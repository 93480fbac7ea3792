package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
)

// Environment variables that older scripts use; see B10.
const (
	envDatabase        = "DATABASE_URL"
	envBucket          = "BACKUP_BUCKET"
	envRegion          = "BACKUP_REGION"
	envKey             = "BACKUP_ENCRYPTION_KEY"
	envRetentionDays   = "BACKUP_RETENTION_DAYS"
	envSecondaryBucket = "BACKUP_SECONDARY_BUCKET"
	envSecondaryRegion = "BACKUP_SECONDARY_REGION"
)

// place is where the repository is that the run works with: its copy, once that is
// what is read.
func (a *app) place() (location.Location, error) {
	if a.copied != nil {
		return *a.copied, nil
	}
	return a.placeIn(a.flags.region)
}

// placeIn finds out where the repository is; region beats what is written in its URL,
// "" for none.
func (a *app) placeIn(region string) (location.Location, error) {
	text, from := a.flags.repository, "--repository"
	if bucket := os.Getenv(envBucket); text == "" && bucket != "" {
		text, from = bucket, envBucket
		if !strings.Contains(bucket, "://") {
			text = "s3://" + bucket
		}
	}
	if text == "" && a.job != nil {
		text, from = a.job.Repository, "job file"
	}
	if text == "" {
		return location.Location{}, usagef("no repository is named: give --repository file:///directory or s3://bucket/prefix, a --job file, or set %s", envBucket)
	}
	at, err := location.Parse(text)
	if err != nil {
		return at, usagef("%s: %w", from, err)
	}
	if at.IsDirectory() {
		if a.flags.endpoint != "" || region != "" {
			return at, usagef("--s3-endpoint and --region belong to an S3 repository, %s is a directory", at)
		}
		return at, nil
	}
	return a.bucketPlaceIn(from, text, region)
}

// bucketPlace is a place in S3, with the endpoint and region that flags give.
func (a *app) bucketPlace(from, text string) (location.Location, error) {
	return a.bucketPlaceIn(from, text, a.flags.region)
}

func (a *app) bucketPlaceIn(from, text, region string) (location.Location, error) {
	at, err := location.Parse(text)
	if err != nil {
		return at, usagef("%s: %w", from, err)
	}
	if a.flags.endpoint != "" {
		at.Endpoint = a.flags.endpoint
		if at, err = location.Parse(at.String()); err != nil {
			return at, usagef("--s3-endpoint: %w", err)
		}
	}
	at.Region = cmp.Or(region, os.Getenv(envRegion), at.Region)
	return at, nil
}

// keyReference finds the reference of the encryption key, "" for what the
// repository suggests.
func (a *app) keyReference() string {
	switch {
	case a.flags.key != "":
		return a.flags.key
	case os.Getenv(envKey) != "":
		return "env:" + envKey
	case a.job != nil:
		return a.job.KeyRef.String()
	}
	return ""
}

// secrets reads what references point to.
func (a *app) secrets() secret.Source { return secret.Source{AWS: a.aws, Log: a.log} }

// keySource finds the key, and keeps why it could not for withKeyTrail.
func (a *app) keySource() func(context.Context, []string) (seal.Wrapper, error) {
	return a.secrets().KeySource(a.keyReference(), func(err error) { a.keyMissed = append(a.keyMissed, err) })
}

// withKeyTrail says where the key of an encrypted repository was looked for.
func (a *app) withKeyTrail(err error) error {
	if !errors.Is(err, repo.ErrNoKey) || len(a.keyMissed) == 0 {
		return err
	}
	err = fmt.Errorf("%w; the repository names its key, but: %w; put it back or give --key", err, errors.Join(a.keyMissed...))
	return a.withKeyRegion(err)
}

// open opens the repository, or the copy of it that the command line asks for.
func (a *app) open(ctx context.Context) (*repo.Repository, error) {
	replica, err := a.readsReplica()
	if err != nil {
		return nil, err
	}
	if replica {
		return a.openReplica(ctx)
	}
	return a.openPrimary(ctx)
}

// openPrimary opens the repository itself. Where it does not answer a command that
// only reads, the error says how its copy is read.
func (a *app) openPrimary(ctx context.Context) (*repo.Repository, error) {
	region := a.flags.region
	if a.copied != nil {
		region = "" // it is that of the copy
	}
	at, err := a.placeIn(region)
	if err != nil {
		return nil, err
	}
	r, err := a.openAt(ctx, at, false)
	if err != nil {
		return nil, a.withReplicaHint(at, withInitHint(err, at))
	}
	if second := os.Getenv(envSecondaryBucket); second != "" {
		a.log.Info("a second copy is made by replication of the bucket, not by this program: "+envSecondaryBucket+" and "+envSecondaryRegion+" only say where --from replica reads", "bucket", second)
	}
	a.opened = r
	return r, nil
}

// openAt opens the repository, or a copy of one, at a place.
func (a *app) openAt(ctx context.Context, at location.Location, isCopy bool) (*repo.Repository, error) {
	options := location.OpenOptions{}
	if a.job != nil {
		options.BytesPerSecond = a.job.Limits.UploadRate
	}
	store, err := a.openStore(ctx, at, options)
	if err != nil {
		return nil, err
	}
	r, err := repo.Open(ctx, store, repo.OpenOptions{Key: a.keySource(), Sealed: a.keyReference() != "", Log: a.log, Copy: isCopy})
	return r, notEmpty(ctx, store, err)
}

// openStore opens the object store at a place, with this run's way to AWS.
func (a *app) openStore(ctx context.Context, at location.Location, options location.OpenOptions) (objstore.Store, error) {
	options.Log = a.log
	if !at.IsDirectory() {
		cfg, err := a.aws(ctx, at.Region)
		if err != nil {
			return nil, err
		}
		options.AWS = &cfg
	}
	return location.Open(ctx, at, options)
}

// filter selects points by --source and kind.
func (a *app) filter(kind string) repo.Filter {
	return repo.Filter{Source: a.flags.source, Kind: kind}
}

// find finds the point a command line names. Without --source, a job that makes
// one source tells which "latest" is meant.
func (a *app) find(ctx context.Context, r *repo.Repository, name, kind string) (repo.Listed, error) {
	f := a.filter(kind)
	if f.Source == "" && name == "latest" {
		var err error
		if f.Source, err = a.latestSource(ctx, r, kind); err != nil {
			return repo.Listed{}, err
		}
	}
	if name == "latest" && kind == "" {
		var err error
		if f.Kind, err = a.latestKind(ctx, r, f); err != nil {
			return repo.Listed{}, err
		}
	}
	found, err := r.Find(ctx, name, f)
	if errors.Is(err, repo.ErrNotFound) {
		if empty := a.checkSelection(ctx, r, kind); empty != nil {
			return found, empty
		}
	}
	return found, err
}

// errOrphans: a repository was at this place and lost its repository.json.
var errOrphans = errors.New("a repository was there: restore that file from a version or a replica, and do not make a new one over it")

// notEmpty notices what a repository leaves behind. A new one there would have
// another id and another key.
func notEmpty(ctx context.Context, store objstore.Store, err error) error {
	if !errors.Is(err, repo.ErrNoRepository) {
		return err
	}
	for _, prefix := range []string{"manifests/", "keys/", "points/"} {
		for info, listErr := range store.List(ctx, prefix) {
			if listErr != nil {
				break // the error we have says more
			}
			return fmt.Errorf("%w; %s is still there, %w", err, info.Key, errOrphans)
		}
	}
	return err
}

func withInitHint(err error, at location.Location) error {
	if errors.Is(err, errOrphans) {
		return err
	}
	if errors.Is(err, repo.ErrNoRepository) || at.IsDirectory() && errors.Is(err, objstore.ErrNoBucket) {
		return fmt.Errorf("%w; if there was one, bring its files back or read its copy; if there was none, `pgbackup-runner init --repository '%s'` makes a repository there", err, at)
	}
	return err
}
