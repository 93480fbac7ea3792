// Package tasks registers, reads and removes task definitions of ECS, and runs
// tasks of them.
//
// What must not live here: what a task consists of, and when it runs.
package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/shape"
)

// FamilyARN of a task definition: its ARN without a revision.
func FamilyARN(partition, region, account, family string) string {
	return fmt.Sprintf("arn:%s:ecs:%s:%s:task-definition/%s", partition, region, account, family)
}

// Tasks is the ECS of one region.
type Tasks struct{ client *ecs.Client }

// New gives the ECS of the account and region that cfg leads to.
func New(cfg aws.Config) *Tasks { return &Tasks{client: ecs.NewFromConfig(cfg)} }

// Revision is a revision that was registered or found.
type Revision struct {
	ARN string
	// Earlier are the active revisions of the family that it takes the place of,
	// newest first: for Deregister.
	Earlier []string
	// Made says that Register registered it.
	Made bool
	// ours is the first of them when it is known to be ours, "" otherwise.
	ours string
}

// Register gives an active revision that says what want does. The newest is taken
// when it does, so that a repeated call makes no second one; otherwise a new one is
// registered. A family whose newest revision is not ours is awsapi.ErrForeign.
func (t *Tasks) Register(ctx context.Context, want *ecs.RegisterTaskDefinitionInput) (r Revision, err error) {
	family := aws.ToString(want.Family)
	if r.Earlier, err = t.list(ctx, family, types.TaskDefinitionStatusActive); err != nil {
		return Revision{}, err
	}
	if len(r.Earlier) > 0 {
		newest := r.Earlier[0]
		have, err := t.Read(ctx, newest)
		switch {
		case errors.Is(err, awsapi.ErrGone): // just now
		case err != nil:
			return Revision{}, err
		default:
			if err := awsapi.CheckOurs(named(family), Tags(have)); err != nil {
				return Revision{}, err
			}
			if sameBesidesTags(have, want) {
				return Revision{ARN: newest, Earlier: r.Earlier[1:]}, t.tag(ctx, newest, Tags(have), Tags(want))
			}
			r.ours = newest
		}
	}
	role := cmp.Or(aws.ToString(want.ExecutionRoleArn), aws.ToString(want.TaskRoleArn))
	err = awsapi.UntilAssumable(ctx, role, func(ctx context.Context) error {
		out, err := t.client.RegisterTaskDefinition(ctx, want)
		if err == nil {
			r.ARN = aws.ToString(out.TaskDefinition.TaskDefinitionArn)
		}
		return err
	})
	r.Made = err == nil
	return r, awsapi.Explain(ctx, "creating "+named(family), "ecs:RegisterTaskDefinition and ecs:TagResource, and iam:PassRole on its roles", err)
}

func sameBesidesTags(a, b *ecs.RegisterTaskDefinitionInput) bool {
	x, y := *a, *b
	x.Tags, y.Tags = nil, nil
	return reflect.DeepEqual(Plain(&x), Plain(&y))
}

func (t *Tasks) tag(ctx context.Context, arn string, have, want map[string]string) error {
	set, remove := awsapi.TagChange(have, want)
	if len(set) > 0 {
		if _, err := t.client.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: TagList(set)}); err != nil {
			return awsapi.Explain(ctx, "changing "+named(arn)+": its tags", "ecs:TagResource", err)
		}
	}
	if len(remove) > 0 {
		if _, err := t.client.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: remove}); err != nil {
			return awsapi.Explain(ctx, "changing "+named(arn)+": its tags", "ecs:UntagResource", err)
		}
	}
	return nil
}

// Plain is a task definition as a document.
func Plain(in *ecs.RegisterTaskDefinitionInput) map[string]any {
	c := *in
	c.ContainerDefinitions = slices.Clone(c.ContainerDefinitions)
	for i := range c.ContainerDefinitions {
		d := &c.ContainerDefinitions[i]
		d.Environment = slices.SortedFunc(slices.Values(d.Environment), func(a, b types.KeyValuePair) int {
			return strings.Compare(aws.ToString(a.Name), aws.ToString(b.Name))
		})
		if d.VersionConsistency == types.VersionConsistencyEnabled {
			d.VersionConsistency = "" // what AWS fills in
		}
	}
	c.Tags = TagList(Tags(in)) // sorted
	return shape.Plain(&c)
}

// Read gives a revision as it is, in the form that would make it, by its ARN;
// awsapi.ErrGone when there is none, or it is no longer active.
func (t *Tasks) Read(ctx context.Context, arn string) (*ecs.RegisterTaskDefinitionInput, error) {
	reading := "reading " + named(arn)
	out, err := t.client.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	switch {
	case awsapi.Is(err, "ClientException") && strings.Contains(strings.ToLower(err.Error()), "unable to describe task definition"):
		return nil, fmt.Errorf("%s: %w", reading, awsapi.ErrGone) // ECS has no code of its own for it
	case err != nil:
		return nil, awsapi.Explain(ctx, reading, "ecs:DescribeTaskDefinition", err)
	case out.TaskDefinition.Status != types.TaskDefinitionStatusActive:
		return nil, fmt.Errorf("%s: %w: it is %s", reading, awsapi.ErrGone, out.TaskDefinition.Status)
	}
	found := &ecs.RegisterTaskDefinitionInput{}
	shape.Copy(found, out.TaskDefinition)
	found.Tags = out.Tags
	return found, nil
}

// Newest gives the newest active revision of a family and its ARN; awsapi.ErrGone
// when there is none.
func (t *Tasks) Newest(ctx context.Context, family string) (*ecs.RegisterTaskDefinitionInput, string, error) {
	arns, err := t.list(ctx, family, types.TaskDefinitionStatusActive)
	if err != nil {
		return nil, "", err
	}
	if len(arns) == 0 {
		return nil, "", fmt.Errorf("reading %s: %w", named(family), awsapi.ErrGone)
	}
	found, err := t.Read(ctx, arns[0])
	return found, arns[0], err
}

// list gives the revisions of exactly this family, newest first.
func (t *Tasks) list(ctx context.Context, family string, status types.TaskDefinitionStatus) ([]string, error) {
	var arns []string
	in := &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family, Status: status, Sort: types.SortOrderDesc}
	for pages := ecs.NewListTaskDefinitionsPaginator(t.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsapi.Explain(ctx, "listing the revisions of "+named(family), "ecs:ListTaskDefinitions", err)
		}
		arns = append(arns, page.TaskDefinitionArns...)
	}
	arns = slices.DeleteFunc(arns, func(arn string) bool { return Family(arn) != family })
	slices.SortFunc(arns, func(a, b string) int { return cmp.Compare(revision(b), revision(a)) })
	return arns, nil
}

// Deregister takes what a revision replaced out of use, as far as it is ours. What
// runs goes on.
func (t *Tasks) Deregister(ctx context.Context, r Revision) error {
	for _, arn := range r.Earlier {
		if arn != r.ours {
			have, err := t.Read(ctx, arn)
			if errors.Is(err, awsapi.ErrGone) {
				continue
			}
			if err != nil {
				return err
			}
			if !awsapi.Ours(Tags(have)) {
				continue // somebody registered a revision of his own
			}
		}
		if _, err := t.client.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &arn}); err != nil {
			return awsapi.Explain(ctx, "removing "+named(arn), "ecs:DeregisterTaskDefinition", err)
		}
	}
	return nil
}

// Remove takes every revision of ours out of use, and deletes them: AWS would
// list them for ever.
func (t *Tasks) Remove(ctx context.Context, family string) error {
	active, err := t.list(ctx, family, types.TaskDefinitionStatusActive)
	if err != nil {
		return err
	}
	if err := t.Deregister(ctx, Revision{Earlier: active}); err != nil {
		return err
	}
	arns, err := t.list(ctx, family, types.TaskDefinitionStatusInactive)
	if err != nil {
		return err
	}
	return t.forget(ctx, arns)
}

// RemoveRevision takes one revision that Register made out of use, and deletes it.
func (t *Tasks) RemoveRevision(ctx context.Context, arn string) error {
	if err := t.Deregister(ctx, Revision{Earlier: []string{arn}, ours: arn}); err != nil {
		return err
	}
	return t.forget(ctx, []string{arn})
}

// forget deletes revisions that are out of use.
func (t *Tasks) forget(ctx context.Context, arns []string) error {
	for some := range slices.Chunk(arns, 10) { // as many as one call takes
		out, err := t.client.DeleteTaskDefinitions(ctx, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: some})
		if err != nil {
			return awsapi.Explain(ctx, "removing "+named(some[0]), "ecs:DeleteTaskDefinitions", err)
		}
		for _, f := range out.Failures {
			return fmt.Errorf("removing %s: %s: %s", named(aws.ToString(f.Arn)), aws.ToString(f.Reason), aws.ToString(f.Detail))
		}
	}
	return nil
}

// Family a revision belongs to, by its ARN.
func Family(arn string) string {
	family, _, _ := strings.Cut(arn[strings.LastIndex(arn, "/")+1:], ":")
	return family
}

func revision(arn string) (n int) {
	_, _ = fmt.Sscanf(arn[strings.LastIndex(arn, ":")+1:], "%d", &n)
	return n
}

// Tags of a task definition.
func Tags(in *ecs.RegisterTaskDefinitionInput) map[string]string {
	m := map[string]string{}
	for _, tag := range in.Tags {
		m[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return m
}

// TagList is tags as ECS takes them, sorted.
func TagList(m map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(m[key])})
	}
	return list
}

func named(what string) string { return "ECS task definition (" + what + ")" }

// WithoutRevision is the ARN of a revision's family.
func WithoutRevision(arn string) string {
	slash := strings.LastIndex(arn, "/")
	family, _, _ := strings.Cut(arn[slash+1:], ":")
	return arn[:slash+1] + family
}
