package rds

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Restorable is from when to when a database can be restored to a moment; zero
// times for what is not known, or not at all.
type Restorable struct {
	Instance         string
	Earliest, Latest time.Time
	// Backups is the ARN of the automated backups of an instance; of one that was
	// deleted, where they were kept, they are all that is left.
	Backups       string
	Retained      bool // the instance is gone
	Engine        string
	EngineVersion string
	AllocatedGiB  int64
	KMSKey        string
	User          string
	OptionGroup   string
	Port          int
	IAMAuth       bool
}

// Restorables reads the automated backups of an instance, or with "" of all there are
// in the region, also of those that are gone. Those of a cluster are with its
// description.
func (c *Client) Restorables(ctx context.Context, instance string) ([]Restorable, error) {
	doing := "reading the automated backups of RDS instances"
	if instance != "" {
		doing = "reading the automated backups of RDS instance (" + instance + ")"
	}
	var all []Restorable
	pages := rds.NewDescribeDBInstanceAutomatedBackupsPaginator(c.api, &rds.DescribeDBInstanceAutomatedBackupsInput{DBInstanceIdentifier: none(instance)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.Is(err, "DBInstanceAutomatedBackupNotFound", "DBInstanceAutomatedBackupNotFoundFault") {
			return nil, nil
		}
		if err != nil {
			return nil, awsapi.Explain(ctx, doing, "rds:DescribeDBInstanceAutomatedBackups", err)
		}
		for _, b := range page.DBInstanceAutomatedBackups {
			found := Restorable{
				Instance: aws.ToString(b.DBInstanceIdentifier), Backups: aws.ToString(b.DBInstanceAutomatedBackupsArn), Retained: strings.EqualFold(aws.ToString(b.Status), "retained"),
				Engine: aws.ToString(b.Engine), EngineVersion: aws.ToString(b.EngineVersion), AllocatedGiB: int64(aws.ToInt32(b.AllocatedStorage)),
				KMSKey: aws.ToString(b.KmsKeyId), User: aws.ToString(b.MasterUsername), OptionGroup: aws.ToString(b.OptionGroupName),
				Port: int(aws.ToInt32(b.Port)), IAMAuth: aws.ToBool(b.IAMDatabaseAuthenticationEnabled),
			}
			if w := b.RestoreWindow; w != nil {
				found.Earliest, found.Latest = aws.ToTime(w.EarliestTime), aws.ToTime(w.LatestTime)
			}
			if instance == "" || found.Instance == instance {
				all = append(all, found)
			}
		}
	}
	// Of several that had the name the newest is meant.
	slices.SortStableFunc(all, func(a, b Restorable) int {
		return cmp.Or(strings.Compare(a.Instance, b.Instance), b.Latest.Compare(a.Latest))
	})
	return all, nil
}
