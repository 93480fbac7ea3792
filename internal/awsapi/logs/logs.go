// Package logs makes, reads, puts right and removes log groups of CloudWatch Logs.
//
// What must not live here: which groups there should be, and what is logged.
package logs

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Group is a log group.
type Group struct {
	Name          string            `json:"name"`
	RetentionDays int               `json:"retention_days,omitempty"` // 0 is for ever
	KMSKeyARN     string            `json:"kms_key_arn,omitempty"`    // "" is the service's own key
	Tags          map[string]string `json:"tags,omitempty"`           // with those of awsapi.OwnTags
}

// ARN of a log group, without the ":*" that stands for its streams.
func ARN(partition, region, account, name string) string {
	return fmt.Sprintf("arn:%s:logs:%s:%s:log-group:%s", partition, region, account, name)
}

// Groups are the log groups of one region.
type Groups struct{ client *cloudwatchlogs.Client }

// New gives the log groups of the account and region that cfg leads to.
func New(cfg aws.Config) *Groups { return &Groups{client: cloudwatchlogs.NewFromConfig(cfg)} }

// Ensure makes the group, or puts right the one of that name when it is ours. made
// says that it was not there, also when not all of it could be done.
func (g *Groups) Ensure(ctx context.Context, want Group) (made bool, err error) {
	have, arn, err := g.find(ctx, want.Name)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		if err := g.create(ctx, want); err != nil {
			return false, err
		}
		made = true
		have = Group{Name: want.Name, KMSKeyARN: want.KMSKeyARN, Tags: want.Tags}
	case err != nil:
		return false, err
	}
	if err := awsapi.CheckOurs(named(want.Name), have.Tags); err != nil {
		return false, err
	}
	// Of a group that was just made, these changes may come too early.
	if err := awsapi.UntilKnown(ctx, named(want.Name), func(ctx context.Context) error { return g.keep(ctx, have, want) }); err != nil {
		return made, err
	}
	if err := awsapi.UntilKnown(ctx, named(want.Name), func(ctx context.Context) error { return g.encrypt(ctx, have, want) }); err != nil {
		return made, err
	}
	return made, g.tag(ctx, arn, have, want)
}

func (g *Groups) create(ctx context.Context, want Group) error {
	in := &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &want.Name, Tags: want.Tags}
	if want.KMSKeyARN != "" {
		in.KmsKeyId = &want.KMSKeyARN
	}
	_, err := g.client.CreateLogGroup(ctx, in)
	return awsapi.Explain(ctx, "creating "+named(want.Name), "logs:CreateLogGroup and logs:TagResource", err)
}

func (g *Groups) keep(ctx context.Context, have, want Group) (err error) {
	switch {
	case have.RetentionDays == want.RetentionDays:
	case want.RetentionDays == 0:
		_, err = g.client.DeleteRetentionPolicy(ctx, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: &want.Name})
	default:
		_, err = g.client.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &want.Name, RetentionInDays: aws.Int32(int32(want.RetentionDays))}) //nolint:gosec // days
	}
	return awsapi.Explain(ctx, "changing "+named(want.Name)+": how long it keeps", "logs:PutRetentionPolicy and logs:DeleteRetentionPolicy", err)
}

func (g *Groups) encrypt(ctx context.Context, have, want Group) (err error) {
	switch {
	case have.KMSKeyARN == want.KMSKeyARN:
	case want.KMSKeyARN == "":
		_, err = g.client.DisassociateKmsKey(ctx, &cloudwatchlogs.DisassociateKmsKeyInput{LogGroupName: &want.Name})
	default:
		_, err = g.client.AssociateKmsKey(ctx, &cloudwatchlogs.AssociateKmsKeyInput{LogGroupName: &want.Name, KmsKeyId: &want.KMSKeyARN})
	}
	return awsapi.Explain(ctx, "changing "+named(want.Name)+": its key", "logs:AssociateKmsKey and logs:DisassociateKmsKey, and the policy of the key has to let CloudWatch Logs use it", err)
}

func (g *Groups) tag(ctx context.Context, arn string, have, want Group) error {
	set, remove := awsapi.TagChange(have.Tags, want.Tags)
	if len(set) > 0 {
		if _, err := g.client.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: &arn, Tags: set}); err != nil {
			return awsapi.Explain(ctx, "changing "+named(want.Name)+": its tags", "logs:TagResource", err)
		}
	}
	if len(remove) > 0 {
		if _, err := g.client.UntagResource(ctx, &cloudwatchlogs.UntagResourceInput{ResourceArn: &arn, TagKeys: remove}); err != nil {
			return awsapi.Explain(ctx, "changing "+named(want.Name)+": its tags", "logs:UntagResource", err)
		}
	}
	return nil
}

// Read gives a group as it is; awsapi.ErrGone when there is none.
func (g *Groups) Read(ctx context.Context, name string) (Group, error) {
	have, _, err := g.find(ctx, name)
	return have, err
}

func (g *Groups) find(ctx context.Context, name string) (Group, string, error) {
	reading := "reading " + named(name)
	found, err := g.describe(ctx, name)
	if err != nil {
		return Group{}, "", awsapi.Explain(ctx, reading, "logs:DescribeLogGroups", err)
	}
	if found == nil {
		return Group{}, "", fmt.Errorf("%s: %w", reading, awsapi.ErrGone)
	}
	arn := aws.ToString(found.LogGroupArn) // the one without ":*", which tags want
	if arn == "" {
		arn = trimStreams(aws.ToString(found.Arn))
	}
	tags, err := g.client.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return Group{}, "", awsapi.Explain(ctx, reading+": its tags", "logs:ListTagsForResource", err)
	}
	return Group{Name: name, RetentionDays: int(aws.ToInt32(found.RetentionInDays)), KMSKeyARN: aws.ToString(found.KmsKeyId), Tags: tags.Tags}, arn, nil
}

// describe finds the group of exactly this name: CloudWatch Logs can only be asked
// for a beginning.
func (g *Groups) describe(ctx context.Context, name string) (*types.LogGroup, error) {
	for pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(g.client, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.LogGroups {
			if aws.ToString(page.LogGroups[i].LogGroupName) == name {
				return &page.LogGroups[i], nil
			}
		}
	}
	return nil, nil
}

// Remove removes a group of ours with all that was logged; one that is gone is no
// error.
func (g *Groups) Remove(ctx context.Context, name string) error {
	have, err := g.Read(ctx, name)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := awsapi.CheckOurs(named(name), have.Tags); err != nil {
		return err
	}
	_, err = g.client.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &name})
	if awsapi.Is(err, "ResourceNotFoundException") {
		return nil
	}
	return awsapi.Explain(ctx, "removing "+named(name), "logs:DeleteLogGroup", err)
}

func named(name string) string { return "log group (" + name + ")" }

func trimStreams(arn string) string {
	if n := len(arn) - len(":*"); n > 0 && arn[n:] == ":*" {
		return arn[:n]
	}
	return arn
}
