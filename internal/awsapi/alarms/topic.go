package alarms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
)

// Topic is what alarms write to.
type Topic struct {
	Name    string
	ARN     string
	Account string            // whose alarms may write to it
	KMSKey  string            // "" is none
	Tags    map[string]string // with awsapi.TagManagedBy
}

// Policy lets the alarms of one account write to the topic, and nobody else.
func (t Topic) Policy() iampolicy.Document {
	return iampolicy.Document{Statements: []iampolicy.Statement{{
		Sid: "PgbackupAlarms", Principals: map[string][]string{"Service": {"cloudwatch.amazonaws.com"}},
		Actions: []string{"sns:Publish"}, Resources: []string{t.ARN},
		Conditions: map[string]map[string][]string{"StringEquals": {"aws:SourceAccount": {t.Account}}},
	}}}
}

// EnsureTopic makes the topic, or puts right what differs. One of that name that
// somebody else made is awsapi.ErrForeign.
func (c *Client) EnsureTopic(ctx context.Context, t Topic) error {
	doing := "creating SNS topic (" + t.Name + ")"
	now, err := c.ReadTopic(ctx, t.ARN)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		in := &sns.CreateTopicInput{Name: aws.String(t.Name), Attributes: map[string]string{"Policy": string(t.Policy().JSON())}}
		if t.KMSKey != "" {
			in.Attributes["KmsMasterKeyId"] = t.KMSKey
		}
		for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
			in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(t.Tags[key])})
		}
		out, err := c.sns.CreateTopic(ctx, in)
		if err != nil {
			return awsapi.Explain(ctx, doing, "sns:CreateTopic", err)
		}
		if got := aws.ToString(out.TopicArn); got != t.ARN {
			return fmt.Errorf("%s: it was made as %s, %s was expected", doing, got, t.ARN)
		}
		return nil
	case err != nil:
		return err
	case !awsapi.Ours(now.Tags):
		return fmt.Errorf("%s: it %w; give it as topic_arn to use it", doing, awsapi.ErrForeign)
	}
	return c.repairTopic(ctx, doing, t, now)
}

func (c *Client) repairTopic(ctx context.Context, doing string, t Topic, now TopicState) error {
	set := map[string]string{}
	if !iampolicy.Same([]byte(now.Policy), t.Policy().JSON()) {
		set["Policy"] = string(t.Policy().JSON())
	}
	if now.KMSKey != t.KMSKey {
		set["KmsMasterKeyId"] = t.KMSKey
	}
	for name, value := range set {
		if _, err := c.sns.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: aws.String(t.ARN), AttributeName: aws.String(name), AttributeValue: aws.String(value)}); err != nil {
			return awsapi.Explain(ctx, doing, "sns:SetTopicAttributes", err)
		}
	}
	tag := &sns.TagResourceInput{ResourceArn: aws.String(t.ARN)}
	for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
		if now.Tags[key] != t.Tags[key] {
			tag.Tags = append(tag.Tags, types.Tag{Key: aws.String(key), Value: aws.String(t.Tags[key])})
		}
	}
	if len(tag.Tags) > 0 {
		if _, err := c.sns.TagResource(ctx, tag); err != nil {
			return awsapi.Explain(ctx, doing, "sns:TagResource", err)
		}
	}
	return nil
}

// TopicState is a topic as it is.
type TopicState struct {
	Policy, KMSKey string
	Tags           map[string]string
}

// ReadTopic gives a topic as it is; awsapi.ErrGone when it is not there.
func (c *Client) ReadTopic(ctx context.Context, arn string) (TopicState, error) {
	doing := "reading SNS topic (" + arn + ")"
	out, err := c.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(arn)})
	if err != nil {
		return TopicState{}, awsapi.Explain(ctx, doing, "sns:GetTopicAttributes", err)
	}
	tags, err := c.sns.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: aws.String(arn)})
	if err != nil {
		return TopicState{}, awsapi.Explain(ctx, doing, "sns:ListTagsForResource", err)
	}
	s := TopicState{Policy: out.Attributes["Policy"], KMSKey: out.Attributes["KmsMasterKeyId"], Tags: map[string]string{}}
	for _, t := range tags.Tags {
		s.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return s, nil
}

// RemoveTopic deletes a topic with its subscriptions, if it is pgbackup's and of
// the generation where that is known; one that is gone is no error.
func (c *Client) RemoveTopic(ctx context.Context, arn, generation string) error {
	now, err := c.ReadTopic(ctx, arn)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if !awsapi.Ours(now.Tags) || !sameGeneration(now.Tags, generation) {
		return nil
	}
	_, err = c.sns.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: aws.String(arn)})
	return awsapi.Explain(ctx, "deleting SNS topic ("+arn+")", "sns:DeleteTopic", err)
}

// Subscription is one address that is told.
type Subscription struct {
	Email   string
	ARN     string // "" while pending
	Pending bool   // nobody has clicked the link in the message yet
}

// Subscriptions lists the e-mail addresses of a topic.
func (c *Client) Subscriptions(ctx context.Context, topic string) ([]Subscription, error) {
	var list []Subscription
	pages := sns.NewListSubscriptionsByTopicPaginator(c.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(topic)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsapi.Explain(ctx, "reading the subscriptions of SNS topic ("+topic+")", "sns:ListSubscriptionsByTopic", err)
		}
		for _, s := range out.Subscriptions {
			if aws.ToString(s.Protocol) != "email" {
				continue
			}
			one := Subscription{Email: aws.ToString(s.Endpoint), ARN: aws.ToString(s.SubscriptionArn)}
			// SNS writes a word where the ARN will be.
			if !strings.HasPrefix(one.ARN, "arn:") {
				one.ARN, one.Pending = "", true
			}
			list = append(list, one)
		}
	}
	return list, nil
}

// Subscribe makes an address told, once its owner clicked the link in the message
// it gets now.
func (c *Client) Subscribe(ctx context.Context, topic, email string) error {
	_, err := c.sns.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(topic), Protocol: aws.String("email"), Endpoint: aws.String(email)})
	return awsapi.Explain(ctx, "subscribing "+email+" to SNS topic ("+topic+")", "sns:Subscribe", err)
}

// Unsubscribe ends a subscription. One that is pending cannot be ended: it goes by
// itself after some days, and pending is true.
func (c *Client) Unsubscribe(ctx context.Context, s Subscription) (pending bool, err error) {
	if s.Pending {
		return true, nil
	}
	_, err = c.sns.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(s.ARN)})
	return false, awsapi.Explain(ctx, "unsubscribing "+s.Email, "sns:Unsubscribe", err)
}
