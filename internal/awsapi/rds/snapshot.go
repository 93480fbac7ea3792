package rds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Types of snapshots.
const (
	Manual    = "manual"
	Automated = "automated"
)

// Snapshot of an instance or a cluster.
type Snapshot struct {
	Target        // what it is of
	Name          string
	ARN           string
	Type          string    // manual, automated, awsbackup, shared, public
	Status        string    // available, creating, failed, …
	Percent       int       // done, 0 to 100
	Created       time.Time // zero while it has not begun
	Engine        string
	EngineVersion string
	AllocatedGiB  int64 // of the database: an upper bound of what it costs
	FullBytes     int64 // size of what a restore brings, 0 where AWS does not say
	Encrypted     bool
	KMSKey        string
	Tags          map[string]string
	User          string // the master user
	Port          int
	IAMAuth       bool
	OptionGroup   string // "" of clusters
}

// Ready reports whether it can be restored.
func (s Snapshot) Ready() bool { return s.Status == StatusAvailable }

// String is "RDS snapshot (name)", for messages.
func (s Snapshot) String() string { return "RDS snapshot (" + s.Name + ")" }

// Query selects snapshots. Empty fields match everything; without a target those
// of instances or of clusters, as Cluster says.
type Query struct {
	Target
	Type string
}

// Snapshots lists snapshots, newest first. Those that have not begun come first.
func (c *Client) Snapshots(ctx context.Context, q Query) ([]Snapshot, error) {
	var all []Snapshot
	id, kind := none(q.ID), none(q.Type)
	doing := "listing RDS snapshots"
	if q.ID != "" {
		doing = "listing the snapshots of " + q.String()
	}
	if q.Cluster {
		pages := rds.NewDescribeDBClusterSnapshotsPaginator(c.api, &rds.DescribeDBClusterSnapshotsInput{DBClusterIdentifier: id, SnapshotType: kind})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, awsapi.Explain(ctx, doing, "rds:DescribeDBClusterSnapshots", err)
			}
			for _, s := range page.DBClusterSnapshots {
				all = append(all, ofCluster(s))
			}
		}
	} else {
		pages := rds.NewDescribeDBSnapshotsPaginator(c.api, &rds.DescribeDBSnapshotsInput{DBInstanceIdentifier: id, SnapshotType: kind})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, awsapi.Explain(ctx, doing, "rds:DescribeDBSnapshots", err)
			}
			for _, s := range page.DBSnapshots {
				all = append(all, ofInstance(s))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Snapshot) int {
		if a.Created.IsZero() != b.Created.IsZero() {
			return map[bool]int{true: -1, false: 1}[a.Created.IsZero()]
		}
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// Snapshot reads one by name. The error wraps awsapi.ErrGone when it is not there.
func (c *Client) Snapshot(ctx context.Context, name string, cluster bool) (Snapshot, error) {
	doing := "reading RDS snapshot (" + name + ")"
	if cluster {
		out, err := c.api.DescribeDBClusterSnapshots(ctx, &rds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: &name})
		if err != nil {
			return Snapshot{}, awsapi.Explain(ctx, doing, "rds:DescribeDBClusterSnapshots", err)
		}
		if len(out.DBClusterSnapshots) == 1 {
			return ofCluster(out.DBClusterSnapshots[0]), nil
		}
		return Snapshot{}, fmt.Errorf("%s: %w", doing, awsapi.ErrGone)
	}
	out, err := c.api.DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &name})
	if err != nil {
		return Snapshot{}, awsapi.Explain(ctx, doing, "rds:DescribeDBSnapshots", err)
	}
	if len(out.DBSnapshots) == 1 {
		return ofInstance(out.DBSnapshots[0]), nil
	}
	return Snapshot{}, fmt.Errorf("%s: %w", doing, awsapi.ErrGone)
}

// CreateSnapshot begins a manual snapshot. Its tags are there from the first
// moment, so that one left by a crash is known as ours.
func (c *Client) CreateSnapshot(ctx context.Context, t Target, name string, tags map[string]string) (Snapshot, error) {
	doing := fmt.Sprintf("creating RDS snapshot (%s) of %s", name, t)
	var s Snapshot
	var err error
	if t.Cluster {
		var out *rds.CreateDBClusterSnapshotOutput
		out, err = c.api.CreateDBClusterSnapshot(ctx, &rds.CreateDBClusterSnapshotInput{DBClusterIdentifier: &t.ID, DBClusterSnapshotIdentifier: &name, Tags: tagList(tags)})
		if err == nil && out.DBClusterSnapshot != nil {
			s = ofCluster(*out.DBClusterSnapshot)
		}
	} else {
		var out *rds.CreateDBSnapshotOutput
		out, err = c.api.CreateDBSnapshot(ctx, &rds.CreateDBSnapshotInput{DBInstanceIdentifier: &t.ID, DBSnapshotIdentifier: &name, Tags: tagList(tags)})
		if err == nil && out.DBSnapshot != nil {
			s = ofInstance(*out.DBSnapshot)
		}
	}
	switch {
	case awsapi.Is(err, "SnapshotQuotaExceeded", "SnapshotQuotaExceededFault"):
		return s, fmt.Errorf("%w; the account has as many manual snapshots as it may: rotate, delete some, or ask AWS for a higher quota", awsapi.Explain(ctx, doing, "", err))
	case err != nil:
		return s, awsapi.Explain(ctx, doing, t.action("CreateDBSnapshot and rds:AddTagsToResource", "CreateDBClusterSnapshot and rds:AddTagsToResource"), err)
	case s.Name == "":
		return s, errors.New(doing + ": RDS did not say what it made")
	}
	return s, nil
}

// Busy reports whether RDS refused because the database, or the snapshot, is not
// in a state for it now: later it may.
func Busy(err error) bool {
	return awsapi.Is(err, "InvalidDBInstanceState", "InvalidDBInstanceStateFault", "InvalidDBClusterStateFault", "InvalidDBSnapshotState", "InvalidDBSnapshotStateFault", "InvalidDBClusterSnapshotStateFault")
}

// ErrNotManual: a snapshot that is not a manual one was about to be deleted.
var ErrNotManual = errors.New("is not a manual snapshot: RDS or AWS Backup made it and will remove it")

// DeleteSnapshot deletes a manual snapshot. One that is gone already is fine. Any
// other than a manual one is refused here, whatever the rights allow.
func (c *Client) DeleteSnapshot(ctx context.Context, s Snapshot) error {
	if s.Type != Manual || strings.Contains(s.Name, ":") {
		return fmt.Errorf("deleting %s: it %w", s, ErrNotManual)
	}
	var err error
	if s.Cluster {
		_, err = c.api.DeleteDBClusterSnapshot(ctx, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &s.Name})
	} else {
		_, err = c.api.DeleteDBSnapshot(ctx, &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &s.Name})
	}
	err = awsapi.Explain(ctx, "deleting "+s.String(), s.action("DeleteDBSnapshot", "DeleteDBClusterSnapshot"), err)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	return err
}

// Tag sets tags on something of RDS, and leaves its others.
func (c *Client) Tag(ctx context.Context, arn string, tags map[string]string) error {
	_, err := c.api.AddTagsToResource(ctx, &rds.AddTagsToResourceInput{ResourceName: &arn, Tags: tagList(tags)})
	return awsapi.Explain(ctx, "tagging "+arn, "rds:AddTagsToResource", err)
}

func ofInstance(s types.DBSnapshot) Snapshot {
	return Snapshot{
		Target: Target{ID: aws.ToString(s.DBInstanceIdentifier)}, Name: aws.ToString(s.DBSnapshotIdentifier), ARN: aws.ToString(s.DBSnapshotArn),
		Type: aws.ToString(s.SnapshotType), Status: aws.ToString(s.Status), Percent: int(aws.ToInt32(s.PercentProgress)), Created: aws.ToTime(s.SnapshotCreateTime),
		Engine: aws.ToString(s.Engine), EngineVersion: aws.ToString(s.EngineVersion), AllocatedGiB: int64(aws.ToInt32(s.AllocatedStorage)),
		FullBytes: aws.ToInt64(s.FullSnapshotSizeInBytes), Encrypted: aws.ToBool(s.Encrypted), KMSKey: aws.ToString(s.KmsKeyId), Tags: tagMap(s.TagList),
		User: aws.ToString(s.MasterUsername), Port: int(aws.ToInt32(s.Port)), IAMAuth: aws.ToBool(s.IAMDatabaseAuthenticationEnabled), OptionGroup: aws.ToString(s.OptionGroupName),
	}
}

func ofCluster(s types.DBClusterSnapshot) Snapshot {
	return Snapshot{
		Target: Target{ID: aws.ToString(s.DBClusterIdentifier), Cluster: true}, Name: aws.ToString(s.DBClusterSnapshotIdentifier), ARN: aws.ToString(s.DBClusterSnapshotArn),
		Type: aws.ToString(s.SnapshotType), Status: aws.ToString(s.Status), Percent: int(aws.ToInt32(s.PercentProgress)), Created: aws.ToTime(s.SnapshotCreateTime),
		Engine: aws.ToString(s.Engine), EngineVersion: aws.ToString(s.EngineVersion), AllocatedGiB: int64(aws.ToInt32(s.AllocatedStorage)),
		Encrypted: aws.ToBool(s.StorageEncrypted), KMSKey: aws.ToString(s.KmsKeyId), Tags: tagMap(s.TagList),
		User: aws.ToString(s.MasterUsername), Port: int(aws.ToInt32(s.Port)), IAMAuth: aws.ToBool(s.IAMDatabaseAuthenticationEnabled),
	}
}

func none(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
