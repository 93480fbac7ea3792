// Package queues makes, reads, puts right and removes queues of SQS that keep what
// could not be delivered.
//
// What must not live here: which queues there should be, and reading messages.
package queues

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Queue is a standard queue whose messages are encrypted by SQS.
type Queue struct {
	Name             string            `json:"name"`
	RetentionSeconds int               `json:"retention_seconds"`         // of a message, at most MaxRetentionSeconds
	Encrypted        bool              `json:"encrypted"`                 // by SQS, with its own key
	Policy           string            `json:"resource_policy,omitempty"` // JSON; ours have none: roles say who may send
	Tags             map[string]string `json:"tags,omitempty"`            // with those of awsapi.OwnTags
}

// MaxRetentionSeconds is how long SQS keeps a message at most, 14 days.
const MaxRetentionSeconds = 14 * 24 * 60 * 60

// ARN of a queue.
func ARN(partition, region, account, name string) string {
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", partition, region, account, name)
}

// Queues are the queues of one region.
type Queues struct{ client *sqs.Client }

// New gives the queues of the account and region that cfg leads to.
func New(cfg aws.Config) *Queues { return &Queues{client: sqs.NewFromConfig(cfg)} }

// deletedRecently is what SQS says for a minute after a queue of the same name was
// removed.
var deletedRecently = []string{"QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"}

// Ensure makes the queue, or puts right the one of that name when it is ours. A
// name that was removed within the last minute is waited for. made says that it was
// not there.
func (q *Queues) Ensure(ctx context.Context, want Queue) (made bool, err error) {
	have, url, err := q.find(ctx, want.Name)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		err = q.create(ctx, want)
		return err == nil, err
	case err != nil:
		return false, err
	}
	if err := awsapi.CheckOurs(named(want.Name), have.Tags); err != nil {
		return false, err
	}
	return false, q.putRight(ctx, url, have, want)
}

func (q *Queues) putRight(ctx context.Context, url string, have, want Queue) error {
	changing := "changing " + named(want.Name)
	if have.RetentionSeconds != want.RetentionSeconds || have.Encrypted != want.Encrypted || have.Policy != want.Policy {
		if _, err := q.client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes(want, true)}); err != nil {
			return awsapi.Explain(ctx, changing, "sqs:SetQueueAttributes", err)
		}
	}
	set, remove := awsapi.TagChange(have.Tags, want.Tags)
	if len(set) > 0 {
		if _, err := q.client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: set}); err != nil {
			return awsapi.Explain(ctx, changing+": its tags", "sqs:TagQueue", err)
		}
	}
	if len(remove) > 0 {
		if _, err := q.client.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: remove}); err != nil {
			return awsapi.Explain(ctx, changing+": its tags", "sqs:UntagQueue", err)
		}
	}
	return nil
}

func attributes(want Queue, clear bool) map[string]string {
	m := map[string]string{
		string(types.QueueAttributeNameMessageRetentionPeriod): strconv.Itoa(want.RetentionSeconds),
		string(types.QueueAttributeNameSqsManagedSseEnabled):   strconv.FormatBool(want.Encrypted),
	}
	if want.Policy != "" || clear {
		m[string(types.QueueAttributeNamePolicy)] = want.Policy
	}
	return m
}

func (q *Queues) create(ctx context.Context, want Queue) error {
	waiting := awsapi.Waiting{What: named(want.Name) + ", which was removed a moment ago, to be free again", Limit: 90 * time.Second, First: 2 * time.Second}
	var failed error
	err := awsapi.Until(ctx, waiting, func(ctx context.Context) (bool, string, error) {
		_, failed = q.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &want.Name, Attributes: attributes(want, false), Tags: maps.Clone(want.Tags)})
		return !awsapi.Is(failed, deletedRecently...), "still being removed", nil
	})
	if err != nil {
		return err
	}
	return awsapi.Explain(ctx, "creating "+named(want.Name), "sqs:CreateQueue and sqs:TagQueue", failed)
}

// Read gives a queue as it is; awsapi.ErrGone when there is none.
func (q *Queues) Read(ctx context.Context, name string) (Queue, error) {
	have, _, err := q.find(ctx, name)
	return have, err
}

func (q *Queues) find(ctx context.Context, name string) (Queue, string, error) {
	url, tags, err := q.owner(ctx, name)
	if err != nil {
		return Queue{}, "", err
	}
	reading := "reading " + named(name)
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return Queue{}, "", awsapi.Explain(ctx, reading, "sqs:GetQueueAttributes", err)
	}
	found := Queue{Name: name, Policy: out.Attributes[string(types.QueueAttributeNamePolicy)], Tags: tags}
	found.Encrypted = out.Attributes[string(types.QueueAttributeNameSqsManagedSseEnabled)] == "true"
	if found.RetentionSeconds, err = strconv.Atoi(out.Attributes[string(types.QueueAttributeNameMessageRetentionPeriod)]); err != nil {
		return Queue{}, "", fmt.Errorf("%s: how long it keeps messages: %w", reading, err)
	}
	return found, url, nil
}

// owner gives where a queue is and its tags, which say whose it is.
func (q *Queues) owner(ctx context.Context, name string) (url string, tags map[string]string, err error) {
	reading := "reading " + named(name)
	at, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", nil, awsapi.Explain(ctx, reading, "sqs:GetQueueUrl", err)
	}
	list, err := q.client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: at.QueueUrl})
	if err != nil {
		return "", nil, awsapi.Explain(ctx, reading+": its tags", "sqs:ListQueueTags", err)
	}
	return aws.ToString(at.QueueUrl), list.Tags, nil
}

// Remove removes a queue of ours with its messages; one that is gone is no error.
func (q *Queues) Remove(ctx context.Context, name string) error {
	url, tags, err := q.owner(ctx, name)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := awsapi.CheckOurs(named(name), tags); err != nil {
		return err
	}
	_, err = q.client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	if err := awsapi.Explain(ctx, "removing "+named(name), "sqs:DeleteQueue", err); err != nil && !errors.Is(err, awsapi.ErrGone) {
		return err
	}
	return nil
}

func named(name string) string { return "SQS queue (" + name + ")" }
