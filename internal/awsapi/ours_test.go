package awsapi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

func TestTheTagsOfWhatWeMakeSayWhoseItIs(t *testing.T) {
	t.Parallel()
	own := map[string]string{"team": "db", awsapi.TagManagedBy: "somebody"}
	tags := awsapi.OwnTags(own, "s3://b/p%20q", strings.Repeat("n", 300))
	if !awsapi.Ours(tags) || tags["team"] != "db" || tags[awsapi.TagRepository] != "s3://b/p_20q" || len(tags[awsapi.TagName]) != 256 || own[awsapi.TagManagedBy] != "somebody" {
		t.Errorf("%v", tags)
	}
	if err := awsapi.CheckOurs("IAM role (x)", own); !errors.Is(err, awsapi.ErrForeign) || !strings.Contains(err.Error(), "IAM role (x) is there already") {
		t.Errorf("%v", err)
	}
	if err := awsapi.CheckOurs("IAM role (x)", tags); err != nil {
		t.Error(err)
	}
}

func TestTagsChangeByWhatDiffersAndThoseOfAWSStay(t *testing.T) {
	t.Parallel()
	set, remove := awsapi.TagChange(map[string]string{"a": "1", "b": "2", "c": "", "aws:x": "y"}, map[string]string{"a": "1", "b": "3", "d": ""})
	if diff := cmp.Diff(map[string]string{"b": "3", "d": ""}, set) + cmp.Diff([]string{"c"}, remove); diff != "" {
		t.Error(diff)
	}
}
