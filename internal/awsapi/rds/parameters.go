package rds

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Parameter is one of a parameter group.
type Parameter struct {
	Name   string
	Value  string // "" where none is set
	Source string // user, system or engine-default
	Apply  string // immediate or pending-reboot
}

// Parameters reads the parameter group of a target: all its parameters, by name,
// and what the group is called.
func (c *Client) Parameters(ctx context.Context, t Target) (parameters []Parameter, group string, err error) {
	db, err := c.Database(ctx, t)
	if err != nil {
		return nil, "", err
	}
	if len(db.ParameterGroups) == 0 {
		return nil, "", fmt.Errorf("reading the parameters of %s: RDS names no parameter group of it", t)
	}
	group = db.ParameterGroups[0]
	doing := fmt.Sprintf("reading parameter group (%s) of %s", group, t)
	add := func(list []types.Parameter) {
		for _, p := range list {
			parameters = append(parameters, Parameter{Name: aws.ToString(p.ParameterName), Value: aws.ToString(p.ParameterValue), Source: aws.ToString(p.Source), Apply: string(p.ApplyMethod)})
		}
	}
	if t.Cluster {
		pages := rds.NewDescribeDBClusterParametersPaginator(c.api, &rds.DescribeDBClusterParametersInput{DBClusterParameterGroupName: &group})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, group, awsapi.Explain(ctx, doing, "rds:DescribeDBClusterParameters", err)
			}
			add(page.Parameters)
		}
	} else {
		pages := rds.NewDescribeDBParametersPaginator(c.api, &rds.DescribeDBParametersInput{DBParameterGroupName: &group})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, group, awsapi.Explain(ctx, doing, "rds:DescribeDBParameters", err)
			}
			add(page.Parameters)
		}
	}
	slices.SortFunc(parameters, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	return parameters, group, nil
}
