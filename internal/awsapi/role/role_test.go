package role_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func wanted() role.Role {
	return role.Role{
		Name: "pgbackup-x", Path: "/pgbackup/", Description: "of a test", Trust: iampolicy.TrustLambda(),
		Policy: iampolicy.ForSchedulerLambda("arn:aws:lambda:us-east-1:123456789012:function:f"), Tags: awsapi.OwnTags(map[string]string{"team": "db"}, "s3://b/p", "x"),
	}
}

func TestARoleIsMadeReadChangedAndRemoved(t *testing.T) {
	t.Parallel()
	s := testenv.AWS(t)
	roles := role.New(s.Config())
	want := wanted()
	arn, _, err := roles.Ensure(t.Context(), want)
	if err != nil || arn != role.ARN("aws", "123456789012", want.Path, want.Name) {
		t.Fatalf("%s, %v", arn, err)
	}
	for _, change := range []func(*role.Role){
		func(*role.Role) {},
		func(r *role.Role) { r.Boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess" },
		func(r *role.Role) { r.Boundary = "" },
		func(r *role.Role) { r.Description, r.Trust = "another", iampolicy.TrustS3Replication() },
		func(r *role.Role) { r.Tags = awsapi.OwnTags(nil, "s3://b/p", "x") },
		func(r *role.Role) { r.Policy = iampolicy.Document{} },
		func(r *role.Role) { r.Policy = wanted().Policy },
	} {
		change(&want)
		if _, _, err := roles.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		have, _, err := roles.Read(t.Context(), want.Name)
		if err != nil || have.Boundary != want.Boundary || have.Description != want.Description || len(have.Tags) != len(want.Tags) ||
			!iampolicy.Same(have.Trust.JSON(), want.Trust.JSON()) || !iampolicy.Same(have.Policy.JSON(), want.Policy.JSON()) {
			t.Errorf("want %+v\nhave %+v, %v", want, have, err)
		}
	}
	// Policies that a user adds are his, and do not keep the role from going.
	if _, err := iam.NewFromConfig(s.Config()).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &want.Name, PolicyName: aws.String("theirs"), PolicyDocument: aws.String(string(want.Policy.JSON()))}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := roles.Remove(t.Context(), want.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := roles.Read(t.Context(), want.Name); !errors.Is(err, awsapi.ErrGone) {
		t.Errorf("%v", err)
	}
}

func TestARoleThatCannotBeOursIsRefused(t *testing.T) {
	t.Parallel()
	s := testenv.AWS(t)
	roles, want := role.New(s.Config()), wanted()
	if _, err := iam.NewFromConfig(s.Config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &want.Name, AssumeRolePolicyDocument: aws.String(string(want.Trust.JSON()))}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := roles.Ensure(t.Context(), want); !errors.Is(err, awsapi.ErrForeign) {
		t.Errorf("%v", err)
	}
	if err := roles.Remove(t.Context(), want.Name); !errors.Is(err, awsapi.ErrForeign) {
		t.Errorf("%v", err)
	}
	want.Name = "elsewhere"
	if _, _, err := roles.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	want.Path = "/other/"
	if _, _, err := roles.Ensure(t.Context(), want); err == nil || !strings.Contains(err.Error(), "has the path /pgbackup/ and should have /other/") {
		t.Errorf("%v", err)
	}
}
