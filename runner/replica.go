package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	awsbucket "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// replicaUse is what a command has to do with a copy of the repository.
type replicaUse int

const (
	writesOnly replicaUse = iota // it changes the repository, and a copy is never changed
	reads
)

// readers are the commands that a copy serves as well as the repository.
var readers = []string{"restore", "cat", "list", "show", "verify", "drill", "drills", "compare", "status", "runbook", "audit"}

func useOfReplica(cmd *cobra.Command) replicaUse {
	if parent := cmd.Parent(); parent != nil && !parent.HasParent() && slices.Contains(readers, cmd.Name()) {
		return reads
	}
	return writesOnly
}

// readsReplica tells whether the command line means the copy: --from replica says so,
// and so does --region with the region of a copy that is declared.
func (a *app) readsReplica() (bool, error) {
	froms := []string{job.FromPrimary, job.FromReplica}
	switch from := a.flags.from; {
	case from == job.FromPrimary:
		return false, nil
	case from == job.FromReplica && a.replicaUse != reads:
		return false, usagef("--from replica: a copy is only read, and this command changes the repository, or does not read backups; %s do", strings.Join(readers, ", "))
	case from == job.FromReplica:
		return true, nil
	case from != "":
		return false, usagef("--from %q is not known%s", from, nearest.Suggestion(from, froms))
	}
	if a.flags.region == "" || a.replicaUse != reads {
		return false, nil
	}
	primary, err := a.placeIn("")
	if err != nil || primary.IsDirectory() || primary.Region == a.flags.region {
		return false, nil //nolint:nilerr // whoever opens the repository says what is wrong with its place
	}
	replica, declared, err := a.declaredReplica(primary)
	return declared && replica.Region == a.flags.region, err
}

// declaredReplica is where the copy is by flag, variable or job: false when none of
// them says it.
func (a *app) declaredReplica(primary location.Location) (location.Location, bool, error) {
	text, from := a.flags.replica, "--replica"
	second := os.Getenv(envSecondaryBucket)
	switch {
	case text != "":
	case second != "" && !strings.Contains(second, "://"):
		at, err := location.Parse("s3://" + second)
		if err != nil {
			return at, false, usagef("%s: %w", envSecondaryBucket, err)
		}
		return beside(primary, at.Bucket, at.Prefix, os.Getenv(envSecondaryRegion)), true, nil
	case second != "":
		text, from = second, envSecondaryBucket
	case a.job != nil && a.job.Replica != "":
		text, from = a.job.Replica, "job.replica"
	default:
		return location.Location{}, false, nil
	}
	at, err := location.Parse(text)
	if err != nil {
		return at, false, usagef("%s: %w", from, err)
	}
	if !at.IsDirectory() && at.Endpoint == "" {
		at.Endpoint, at.PathStyle = primary.Endpoint, at.PathStyle || primary.PathStyle
	}
	return at, true, nil
}

// beside is the copy of a repository in another bucket: replication keeps the keys, so
// the prefix is the same where no other is given.
func beside(primary location.Location, bucket, prefix, region string) location.Location {
	at := primary
	at.Bucket, at.Prefix, at.Region = bucket, cmp.Or(prefix, primary.Prefix), region
	return at
}

// replicaPlace is where the copy is, by what is declared or else by the rule by which
// the bucket of the repository is replicated, for which that has to answer.
func (a *app) replicaPlace(ctx context.Context, primary location.Location) (location.Location, error) {
	at, declared, err := a.declaredReplica(primary)
	if err == nil && !declared {
		at, err = a.ruledReplica(ctx, primary)
	}
	if err != nil {
		return at, err
	}
	if !at.IsDirectory() {
		at.Region = cmp.Or(a.flags.region, at.Region)
	}
	return at, nil
}

// ruleTimeout bounds how long a region that may be down is asked where the copy is.
const ruleTimeout = 15 * time.Second

// ruledReplica asks the bucket of the repository where it is replicated to.
func (a *app) ruledReplica(ctx context.Context, primary location.Location) (location.Location, error) {
	const give = "give --replica s3://BUCKET/PREFIX?region=REGION, or set " + envSecondaryBucket + " and " + envSecondaryRegion
	if primary.IsDirectory() {
		return location.Location{}, usagef("no replica of %s is named: give --replica URL", primary)
	}
	cfg, err := a.aws(ctx, primary.Region)
	if err != nil {
		return location.Location{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, ruleTimeout, fmt.Errorf("no answer within %s", ruleTimeout))
	defer cancel()
	b := awsbucket.Open(cfg, primary.Bucket, awsbucket.Options{Endpoint: primary.Endpoint, PathStyle: primary.PathStyle, Region: primary.Region, Log: a.log})
	prefix := primary.Prefix
	if prefix != "" {
		prefix += "/"
	}
	copies, err := b.CopiedTo(ctx, prefix)
	if err != nil {
		return location.Location{}, fmt.Errorf("where the replica of %s is, nothing here says, and its bucket does not tell: %w; %s", primary, err, give)
	}
	if len(copies) != 1 {
		return location.Location{}, usagef("no replica of %s is named, and its bucket is replicated to %d buckets (%s): %s", primary, len(copies), strings.Join(copies, ", "), give)
	}
	region, err := b.RegionOf(ctx, copies[0])
	if err != nil {
		return location.Location{}, fmt.Errorf("the region of the replica: %w; %s", err, give)
	}
	return beside(primary, copies[0], "", region), nil
}

// openReplica opens the copy of the repository and says how far it lags behind. From
// then on it is what place means.
func (a *app) openReplica(ctx context.Context) (*repo.Repository, error) {
	primary, err := a.placeIn("")
	if err != nil {
		return nil, err
	}
	at, err := a.replicaPlace(ctx, primary)
	if err != nil {
		return nil, err
	}
	if at == primary {
		return nil, usagef("the replica and the repository are the same place, %s", at)
	}
	a.copied = &at
	r, err := a.openAt(ctx, at, true)
	if err != nil {
		return nil, fmt.Errorf("the replica: %w", a.withKeyRegion(err))
	}
	a.opened = r
	return r, a.tellLag(ctx, primary, at, r)
}

// withReplicaHint says how the copy is read where the repository does not answer.
func (a *app) withReplicaHint(primary location.Location, err error) error {
	lost := isAny(err, objstore.ErrTransient, objstore.ErrNoBucket, context.DeadlineExceeded)
	if a.replicaUse != reads || !lost && !isAny(err, repo.ErrNoRepository, repo.ErrDamaged) || a.flags.from != "" {
		return err
	}
	at, declared, wrong := a.declaredReplica(primary)
	switch {
	case wrong != nil:
		return err
	case declared:
		return fmt.Errorf("%w; to read its replica at %s: `%s`", err, at, a.again(nil, "--from", job.FromReplica))
	case errors.Is(err, objstore.ErrTransient) && !primary.IsDirectory():
		return fmt.Errorf("%w; if it has a replica: `%s`", err, a.again(nil, "--from", job.FromReplica, "--replica", "s3://BUCKET/PREFIX?region=REGION"))
	}
	return err
}
