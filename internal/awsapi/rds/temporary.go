package rds

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// TagTemporary marks a database that may be deleted. Its value is the identifier of
// that very database: RDS copies tags to snapshots and to what is restored from
// them, and a copy must not be taken for what was marked.
const TagTemporary = "pgbackup:temporary"

// ErrNotTemporary: a database that nobody marked as temporary was about to be deleted.
var ErrNotTemporary = errors.New("is not temporary: it does not carry its own name in the tag " + TagTemporary)

// DeleteTemporary begins to delete a temporary database, with its automated backups
// and without a last snapshot. One that is gone or going already is fine. Any other
// than a temporary one is refused here, whatever the rights allow: what counts are
// its tags now, not those that d was read with.
func (c *Client) DeleteTemporary(ctx context.Context, t Target) error {
	doing := "deleting " + t.String()
	d, err := c.Database(ctx, t)
	switch {
	case errors.Is(err, awsapi.ErrGone), err == nil && d.Status == "deleting":
		return nil
	case err != nil:
		return err
	case d.Tags[TagTemporary] == "" || d.Tags[TagTemporary] != t.ID && d.Tags[TagTemporary] != d.MemberOf:
		return fmt.Errorf("%s: it %w", doing, ErrNotTemporary)
	}
	if t.Cluster {
		_, err = c.api.DeleteDBCluster(ctx, &rds.DeleteDBClusterInput{DBClusterIdentifier: &t.ID, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(true)})
	} else {
		in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &t.ID, SkipFinalSnapshot: aws.Bool(true)}
		if d.MemberOf == "" {
			in.DeleteAutomatedBackups = aws.Bool(true)
		}
		_, err = c.api.DeleteDBInstance(ctx, in)
	}
	err = awsapi.Explain(ctx, doing, t.action("DeleteDBInstance", "DeleteDBCluster"), err)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	return err
}

// SetPassword gives the master user of a database a password. RDS takes its time:
// Database.PendingPassword.
func (c *Client) SetPassword(ctx context.Context, t Target, password string) error {
	var err error
	if t.Cluster {
		_, err = c.api.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: &t.ID, MasterUserPassword: &password, ApplyImmediately: aws.Bool(true)})
	} else {
		_, err = c.api.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: &t.ID, MasterUserPassword: &password, ApplyImmediately: aws.Bool(true)})
	}
	return awsapi.Explain(ctx, "setting the master password of "+t.String(), t.action("ModifyDBInstance", "ModifyDBCluster"), err)
}

// ParameterGroup says which group of parameters there should be.
type ParameterGroup struct {
	Name, Family, Description string
	Cluster                   bool
	Values                    map[string]string // applied when a database starts
	Tags                      map[string]string
}

// EnsureParameterGroup makes a group of parameters, if it is not there, and sets its
// values. One of that name that somebody else made is refused with
// awsapi.ErrForeign.
func (c *Client) EnsureParameterGroup(ctx context.Context, g ParameterGroup) error {
	if g.Cluster {
		return c.ensureClusterGroup(ctx, g)
	}
	what := "parameter group (" + g.Name + ")"
	_, err := c.api.CreateDBParameterGroup(ctx, &rds.CreateDBParameterGroupInput{DBParameterGroupName: &g.Name, DBParameterGroupFamily: &g.Family, Description: &g.Description, Tags: tagList(g.Tags)})
	if awsapi.Is(err, "DBParameterGroupAlreadyExists", "DBParameterGroupAlreadyExistsFault") {
		out, err := c.api.DescribeDBParameterGroups(ctx, &rds.DescribeDBParameterGroupsInput{DBParameterGroupName: &g.Name})
		if err != nil {
			return awsapi.Explain(ctx, "reading "+what, "rds:DescribeDBParameterGroups", err)
		}
		for _, found := range out.DBParameterGroups {
			if err := c.checkOwnGroup(ctx, what, aws.ToString(found.DBParameterGroupArn)); err != nil {
				return err
			}
		}
	} else if err != nil {
		return awsapi.Explain(ctx, "making "+what, "rds:CreateDBParameterGroup and rds:AddTagsToResource", err)
	}
	_, err = c.api.ModifyDBParameterGroup(ctx, &rds.ModifyDBParameterGroupInput{DBParameterGroupName: &g.Name, Parameters: g.parameters()})
	return awsapi.Explain(ctx, "setting "+what, "rds:ModifyDBParameterGroup", err)
}

func (c *Client) ensureClusterGroup(ctx context.Context, g ParameterGroup) error {
	what := "cluster parameter group (" + g.Name + ")"
	_, err := c.api.CreateDBClusterParameterGroup(ctx, &rds.CreateDBClusterParameterGroupInput{DBClusterParameterGroupName: &g.Name, DBParameterGroupFamily: &g.Family, Description: &g.Description, Tags: tagList(g.Tags)})
	if awsapi.Is(err, "DBParameterGroupAlreadyExists", "DBParameterGroupAlreadyExistsFault") {
		out, err := c.api.DescribeDBClusterParameterGroups(ctx, &rds.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: &g.Name})
		if err != nil {
			return awsapi.Explain(ctx, "reading "+what, "rds:DescribeDBClusterParameterGroups", err)
		}
		for _, found := range out.DBClusterParameterGroups {
			if err := c.checkOwnGroup(ctx, what, aws.ToString(found.DBClusterParameterGroupArn)); err != nil {
				return err
			}
		}
	} else if err != nil {
		return awsapi.Explain(ctx, "making "+what, "rds:CreateDBClusterParameterGroup and rds:AddTagsToResource", err)
	}
	_, err = c.api.ModifyDBClusterParameterGroup(ctx, &rds.ModifyDBClusterParameterGroupInput{DBClusterParameterGroupName: &g.Name, Parameters: g.parameters()})
	return awsapi.Explain(ctx, "setting "+what, "rds:ModifyDBClusterParameterGroup", err)
}

func (c *Client) checkOwnGroup(ctx context.Context, what, arn string) error {
	out, err := c.api.ListTagsForResource(ctx, &rds.ListTagsForResourceInput{ResourceName: &arn})
	if err != nil {
		return awsapi.Explain(ctx, "reading the tags of "+what, "rds:ListTagsForResource", err)
	}
	return awsapi.CheckOurs(what, tagMap(out.TagList))
}

func (g ParameterGroup) parameters() (list []types.Parameter) {
	for name, value := range g.Values {
		list = append(list, types.Parameter{ParameterName: &name, ParameterValue: &value, ApplyMethod: types.ApplyMethodPendingReboot})
	}
	return list
}
