// Package schedules makes, reads, puts right and removes schedules of EventBridge
// Scheduler and the groups they are in.
//
// Schedules cannot carry tags: a group has them, and what is in a group of ours is
// ours.
//
// What must not live here: which schedules there should be, and what they start.
package schedules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Group is a schedule group.
type Group struct {
	Name string            `json:"name"`
	Tags map[string]string `json:"tags,omitempty"` // with those of awsapi.OwnTags
	// Generation is the tag awsapi.TagGeneration, which is not among Tags: it says
	// whose the group is, not what it should be like. "" when there is none, and
	// for EnsureGroup leaves it as it is.
	Generation string `json:"-"`
}

// GroupARN of a schedule group.
func GroupARN(partition, region, account, name string) string {
	return fmt.Sprintf("arn:%s:scheduler:%s:%s:schedule-group/%s", partition, region, account, name)
}

// Schedules are the schedules of one region.
type Schedules struct{ client *scheduler.Client }

// New gives the schedules of the account and region that cfg leads to.
func New(cfg aws.Config) *Schedules { return &Schedules{client: scheduler.NewFromConfig(cfg)} }

// EnsureGroup makes the group, or puts right the one of that name when it is ours.
// One that is being removed is waited for. made says that it was not there.
func (s *Schedules) EnsureGroup(ctx context.Context, want Group) (made bool, err error) {
	have, arn, err := s.settled(ctx, want.Name)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		_, err := s.client.CreateScheduleGroup(ctx, &scheduler.CreateScheduleGroupInput{Name: &want.Name, Tags: tags(want.allTags())})
		return err == nil, awsapi.Explain(ctx, "creating "+namedGroup(want.Name), "scheduler:CreateScheduleGroup and scheduler:TagResource", err)
	case err != nil:
		return false, err
	}
	if err := awsapi.CheckOurs(namedGroup(want.Name), have.Tags); err != nil {
		return false, err
	}
	if want.Generation == "" {
		want.Generation = have.Generation
	}
	return false, s.tagGroup(ctx, arn, have, want)
}

// allTags are those with the generation.
func (g Group) allTags() map[string]string {
	if g.Generation == "" {
		return g.Tags
	}
	all := map[string]string{awsapi.TagGeneration: g.Generation}
	maps.Copy(all, g.Tags)
	return all
}

func (s *Schedules) tagGroup(ctx context.Context, arn string, have, want Group) error {
	set, remove := awsapi.TagChange(have.allTags(), want.allTags())
	if len(set) > 0 {
		if _, err := s.client.TagResource(ctx, &scheduler.TagResourceInput{ResourceArn: &arn, Tags: tags(set)}); err != nil {
			return awsapi.Explain(ctx, "changing "+namedGroup(want.Name)+": its tags", "scheduler:TagResource", err)
		}
	}
	if len(remove) > 0 {
		if _, err := s.client.UntagResource(ctx, &scheduler.UntagResourceInput{ResourceArn: &arn, TagKeys: remove}); err != nil {
			return awsapi.Explain(ctx, "changing "+namedGroup(want.Name)+": its tags", "scheduler:UntagResource", err)
		}
	}
	return nil
}

// settled is a group that is not on its way out.
func (s *Schedules) settled(ctx context.Context, name string) (found Group, arn string, err error) {
	waited := awsapi.Until(ctx, awsapi.Waiting{What: namedGroup(name) + " to be removed", Limit: 2 * time.Minute},
		func(ctx context.Context) (bool, string, error) {
			var state types.ScheduleGroupState
			found, arn, state, err = s.findGroup(ctx, name)
			return err != nil || state != types.ScheduleGroupStateDeleting, string(state), nil //nolint:nilerr // it ends the waiting, and is returned below
		})
	return found, arn, errors.Join(waited, err)
}

// ReadGroup gives a group as it is; awsapi.ErrGone when there is none, or when it
// is being removed.
func (s *Schedules) ReadGroup(ctx context.Context, name string) (Group, error) {
	found, _, state, err := s.findGroup(ctx, name)
	if err == nil && state == types.ScheduleGroupStateDeleting {
		err = fmt.Errorf("reading %s: %w: it is being removed", namedGroup(name), awsapi.ErrGone)
	}
	return found, err
}

func (s *Schedules) findGroup(ctx context.Context, name string) (Group, string, types.ScheduleGroupState, error) {
	reading := "reading " + namedGroup(name)
	out, err := s.client.GetScheduleGroup(ctx, &scheduler.GetScheduleGroupInput{Name: &name})
	if err != nil {
		return Group{}, "", "", awsapi.Explain(ctx, reading, "scheduler:GetScheduleGroup", err)
	}
	list, err := s.client.ListTagsForResource(ctx, &scheduler.ListTagsForResourceInput{ResourceArn: out.Arn})
	if err != nil {
		return Group{}, "", "", awsapi.Explain(ctx, reading+": its tags", "scheduler:ListTagsForResource", err)
	}
	found := Group{Name: name, Tags: map[string]string{}}
	for _, t := range list.Tags {
		found.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	found.Generation = found.Tags[awsapi.TagGeneration]
	delete(found.Tags, awsapi.TagGeneration)
	return found, aws.ToString(out.Arn), out.State, nil
}

// CheckGroup holds that a group is ours and of a generation, "" for any:
// awsapi.ErrForeign or awsapi.ErrSuperseded when it is not, awsapi.ErrGone when
// there is none, or when it is being removed.
func (s *Schedules) CheckGroup(ctx context.Context, name, generation string) error {
	have, err := s.ReadGroup(ctx, name)
	if err != nil {
		return err
	}
	if err := awsapi.CheckOurs(namedGroup(name), have.Tags); err != nil {
		return err
	}
	return awsapi.CheckGeneration(namedGroup(name), have.Generation, generation)
}

// RemoveGroup removes a group that CheckGroup found to be ours, with the schedules
// in it; one that is gone is no error. AWS does so in its own time.
func (s *Schedules) RemoveGroup(ctx context.Context, name string) error {
	_, err := s.client.DeleteScheduleGroup(ctx, &scheduler.DeleteScheduleGroupInput{Name: &name})
	if awsapi.Is(err, notFound) {
		return nil
	}
	return awsapi.Explain(ctx, "removing "+namedGroup(name), "scheduler:DeleteScheduleGroup", err)
}

const notFound = "ResourceNotFoundException"

func tags(m map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(m[key])})
	}
	return list
}

func namedGroup(name string) string { return "EventBridge schedule group (" + name + ")" }
