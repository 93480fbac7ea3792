// Package rds is what the API of RDS tells and does about backups of one
// instance or cluster, in one form for both: settings of automated backups,
// their copies in another region, manual snapshots, parameter groups, and
// databases that are restored, promoted and, where they are temporary, deleted.
//
// What must not live here: what should be (the provider), which snapshot belongs
// to which recovery point and when one goes (package internal/rds).
package rds

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Client talks to RDS in one region. Safe for concurrent use.
type Client struct {
	api    *rds.Client
	sts    *sts.Client
	keys   *kms.Client
	watch  *cloudwatch.Client
	region string
}

// New makes a client for the region of the configuration.
func New(cfg aws.Config) *Client {
	return &Client{api: rds.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg), keys: kms.NewFromConfig(cfg), watch: cloudwatch.NewFromConfig(cfg), region: cfg.Region}
}

// Region the client talks to.
func (c *Client) Region() string { return c.region }

// Account asks AWS whose credentials these are: twelve digits.
func (c *Client) Account(ctx context.Context) (string, error) {
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", awsapi.Explain(ctx, "asking AWS whose account this is", "sts:GetCallerIdentity", err)
	}
	return aws.ToString(out.Account), nil
}

// Target names what is backed up: an instance, or an Aurora or Multi-AZ cluster.
type Target struct {
	ID      string // its identifier
	Cluster bool
}

// String is "RDS instance (acme-prod)", for messages.
func (t Target) String() string {
	if t.Cluster {
		return "RDS cluster (" + t.ID + ")"
	}
	return "RDS instance (" + t.ID + ")"
}

// action is the IAM action of a call that has one name for each of the two.
func (t Target) action(instance, cluster string) string {
	if t.Cluster {
		return "rds:" + cluster
	}
	return "rds:" + instance
}

// ARN is one of RDS in its parts.
type ARN struct {
	Partition, Region, Account string
	Type                       string // db, cluster, snapshot, cluster-snapshot
	Name                       string
}

// ParseARN reads arn:aws:rds:us-east-1:111122223333:db:acme-prod.
func ParseARN(text string) (ARN, error) {
	p := strings.SplitN(text, ":", 7)
	if len(p) != 7 || p[0] != "arn" || p[2] != "rds" || p[3] == "" || p[4] == "" || p[6] == "" {
		return ARN{}, fmt.Errorf("%.200q is no ARN of RDS: they look like arn:aws:rds:us-east-1:111122223333:db:acme-prod, or …:cluster:acme-prod", text)
	}
	return ARN{Partition: p[1], Region: p[3], Account: p[4], Type: p[5], Name: p[6]}, nil
}

// tagMap turns the list of the API into a map.
func tagMap(list []types.Tag) map[string]string {
	tags := make(map[string]string, len(list))
	for _, t := range list {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

// tagList turns a map into the list of the API.
func tagList(tags map[string]string) []types.Tag {
	list := make([]types.Tag, 0, len(tags))
	for k, v := range tags {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return list
}
