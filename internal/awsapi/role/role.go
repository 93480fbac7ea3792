// Package role makes, reads, puts right and removes IAM roles: one trust policy,
// one inline policy, a permissions boundary, tags.
//
// What must not live here: what a role may do (package iampolicy) and which roles
// there should be.
package role

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
)

// PolicyName is the name of the one inline policy of our roles. Policies of other
// names, and attached ones, are the user's: Ensure leaves them alone.
const PolicyName = "pgbackup"

// Role is an IAM role.
type Role struct {
	Name        string // at most 64 characters
	Path        string // "" is /
	Description string
	Trust       iampolicy.Document // who may take it on
	// Policy is what it may do. Read gives an empty document where the policy is
	// missing, or says something this program does not write.
	Policy   iampolicy.Document
	Tags     map[string]string // with those of awsapi.OwnTags
	Boundary string            // ARN of a permissions boundary; "" is none
}

// ARN a role of this name and path has.
func ARN(partition, account, path, name string) string {
	return fmt.Sprintf("arn:%s:iam::%s:role%s%s", partition, account, cleanPath(path), name)
}

func cleanPath(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return "/"
	}
	return "/" + path + "/"
}

// Roles is the IAM of one account.
type Roles struct{ client *iam.Client }

// New gives the roles of the account that cfg leads to.
func New(cfg aws.Config) *Roles { return &Roles{client: iam.NewFromConfig(cfg)} }

// Ensure makes the role, or puts right the one of that name, when it is ours. A
// role that somebody else made is awsapi.ErrForeign. made says that it was not
// there, also when not all of it could be done.
func (r *Roles) Ensure(ctx context.Context, want Role) (arn string, made bool, err error) {
	have, arn, err := r.find(ctx, want.Name)
	if errors.Is(err, awsapi.ErrGone) {
		arn, err = r.create(ctx, want)
		made = err == nil
		have = Role{Name: want.Name, Path: want.Path, Description: want.Description, Trust: want.Trust, Tags: want.Tags, Boundary: want.Boundary}
	}
	if err != nil {
		return "", false, err
	}
	if err := awsapi.CheckOurs(named(want.Name), have.Tags); err != nil {
		return "", false, err
	}
	if got := cleanPath(have.Path); got != cleanPath(want.Path) {
		return "", false, fmt.Errorf("%s has the path %s and should have %s, which IAM cannot change: remove the role and apply again", named(want.Name), got, cleanPath(want.Path))
	}
	return arn, made, r.putRight(ctx, have, want)
}

func (r *Roles) create(ctx context.Context, want Role) (string, error) {
	in := &iam.CreateRoleInput{
		RoleName: &want.Name, Path: aws.String(cleanPath(want.Path)), AssumeRolePolicyDocument: aws.String(string(want.Trust.JSON())), Tags: tags(want.Tags),
	}
	if want.Description != "" {
		in.Description = &want.Description
	}
	if want.Boundary != "" {
		in.PermissionsBoundary = &want.Boundary
	}
	out, err := r.client.CreateRole(ctx, in)
	if err != nil {
		return "", awsapi.Explain(ctx, "creating "+named(want.Name), "iam:CreateRole and iam:TagRole", err)
	}
	return aws.ToString(out.Role.Arn), nil
}

// putRight changes what differs, one call for each difference.
func (r *Roles) putRight(ctx context.Context, have, want Role) error {
	name := &want.Name
	changing := "changing " + named(want.Name)
	if !iampolicy.Same(have.Trust.JSON(), want.Trust.JSON()) {
		_, err := r.client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(string(want.Trust.JSON()))})
		if err != nil {
			return awsapi.Explain(ctx, changing+": its trust policy", "iam:UpdateAssumeRolePolicy", err)
		}
	}
	if have.Description != want.Description {
		if _, err := r.client.UpdateRoleDescription(ctx, &iam.UpdateRoleDescriptionInput{RoleName: name, Description: &want.Description}); err != nil {
			return awsapi.Explain(ctx, changing+": its description", "iam:UpdateRoleDescription", err)
		}
	}
	if err := r.bound(ctx, have, want); err != nil {
		return err
	}
	set, remove := awsapi.TagChange(have.Tags, want.Tags)
	if len(set) > 0 {
		if _, err := r.client.TagRole(ctx, &iam.TagRoleInput{RoleName: name, Tags: tags(set)}); err != nil {
			return awsapi.Explain(ctx, changing+": its tags", "iam:TagRole", err)
		}
	}
	if len(remove) > 0 {
		if _, err := r.client.UntagRole(ctx, &iam.UntagRoleInput{RoleName: name, TagKeys: remove}); err != nil {
			return awsapi.Explain(ctx, changing+": its tags", "iam:UntagRole", err)
		}
	}
	if iampolicy.Same(have.Policy.JSON(), want.Policy.JSON()) {
		return nil
	}
	return r.allow(ctx, want)
}

func (r *Roles) bound(ctx context.Context, have, want Role) (err error) {
	switch {
	case have.Boundary == want.Boundary:
	case want.Boundary == "":
		_, err = r.client.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &want.Name})
	default:
		_, err = r.client.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &want.Name, PermissionsBoundary: &want.Boundary})
	}
	return awsapi.Explain(ctx, "changing "+named(want.Name)+": its permissions boundary", "iam:PutRolePermissionsBoundary and iam:DeleteRolePermissionsBoundary", err)
}

// allow writes the inline policy. A role that was made a moment ago may not be
// known yet to all of IAM.
func (r *Roles) allow(ctx context.Context, want Role) error {
	doing := "changing " + named(want.Name) + ": its policy"
	if len(want.Policy.Statements) == 0 { // IAM refuses an empty policy
		_, err := r.client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &want.Name, PolicyName: aws.String(PolicyName)})
		if awsapi.Is(err, noSuchEntity) {
			return nil
		}
		return awsapi.Explain(ctx, doing, "iam:DeleteRolePolicy", err)
	}
	var failed error
	err := awsapi.Until(ctx, awsapi.Waiting{What: named(want.Name) + " to be known to IAM", Limit: time.Minute},
		func(ctx context.Context) (bool, string, error) {
			_, failed = r.client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &want.Name, PolicyName: aws.String(PolicyName), PolicyDocument: aws.String(string(want.Policy.JSON()))})
			return !awsapi.Is(failed, noSuchEntity), "not there yet", nil
		})
	if err != nil {
		return err
	}
	return awsapi.Explain(ctx, doing, "iam:PutRolePolicy", failed)
}

const noSuchEntity = "NoSuchEntity"

// Read gives a role as it is, and its ARN; awsapi.ErrGone when there is none. It
// does not ask whose role it is.
func (r *Roles) Read(ctx context.Context, name string) (Role, string, error) {
	return r.find(ctx, name)
}

func (r *Roles) find(ctx context.Context, name string) (Role, string, error) {
	found, arn, err := r.findBare(ctx, name)
	if err != nil {
		return Role{}, "", err
	}
	policy, err := r.client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: aws.String(PolicyName)})
	switch {
	case err == nil:
		found.Policy = document(policy.PolicyDocument)
	case !awsapi.Is(err, noSuchEntity):
		return Role{}, "", awsapi.Explain(ctx, "reading "+named(name)+": its policy", "iam:GetRolePolicy", err)
	}
	return found, arn, nil
}

// findBare is find without the policy, which takes a call of its own.
func (r *Roles) findBare(ctx context.Context, name string) (Role, string, error) {
	out, err := r.client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return Role{}, "", awsapi.Explain(ctx, "reading "+named(name), "iam:GetRole", err)
	}
	found := Role{
		Name: name, Path: cleanPath(aws.ToString(out.Role.Path)), Description: aws.ToString(out.Role.Description),
		Trust: document(out.Role.AssumeRolePolicyDocument), Tags: map[string]string{},
	}
	if b := out.Role.PermissionsBoundary; b != nil {
		found.Boundary = aws.ToString(b.PermissionsBoundaryArn)
	}
	for _, t := range out.Role.Tags {
		found.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return found, aws.ToString(out.Role.Arn), nil
}

// document reads what IAM gives, which is URL-encoded. One that we could not have
// written is empty, and so differs from all of ours.
func document(encoded *string) iampolicy.Document {
	text, err := url.PathUnescape(aws.ToString(encoded))
	if err != nil {
		return iampolicy.Document{}
	}
	d, err := iampolicy.Parse([]byte(text))
	if err != nil {
		return iampolicy.Document{}
	}
	return d
}

// Remove removes a role of ours with all its policies; one that is gone is no
// error, somebody else's is awsapi.ErrForeign.
func (r *Roles) Remove(ctx context.Context, name string) error {
	have, _, err := r.findBare(ctx, name)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := awsapi.CheckOurs(named(name), have.Tags); err != nil {
		return err
	}
	if err := r.strip(ctx, name); err != nil {
		return err
	}
	_, err = r.client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
	if awsapi.Is(err, noSuchEntity) {
		return nil
	}
	return awsapi.Explain(ctx, "removing "+named(name), "iam:DeleteRole", err)
}

// strip takes every policy from a role: IAM removes only bare ones.
func (r *Roles) strip(ctx context.Context, name string) error {
	removing := "removing " + named(name)
	for pages := iam.NewListRolePoliciesPaginator(r.client, &iam.ListRolePoliciesInput{RoleName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsapi.Explain(ctx, removing+": listing its inline policies", "iam:ListRolePolicies", err)
		}
		for _, policy := range page.PolicyNames {
			if _, err := r.client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &policy}); err != nil && !awsapi.Is(err, noSuchEntity) {
				return awsapi.Explain(ctx, removing+": its inline policy "+policy, "iam:DeleteRolePolicy", err)
			}
		}
	}
	for pages := iam.NewListAttachedRolePoliciesPaginator(r.client, &iam.ListAttachedRolePoliciesInput{RoleName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsapi.Explain(ctx, removing+": listing the policies attached to it", "iam:ListAttachedRolePolicies", err)
		}
		for _, p := range page.AttachedPolicies {
			if _, err := r.client.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &name, PolicyArn: p.PolicyArn}); err != nil && !awsapi.Is(err, noSuchEntity) {
				return awsapi.Explain(ctx, removing+": detaching "+aws.ToString(p.PolicyName), "iam:DetachRolePolicy", err)
			}
		}
	}
	return nil
}

func tags(m map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(m[key])})
	}
	return list
}

func named(name string) string { return "IAM role (" + name + ")" }
