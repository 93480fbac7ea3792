package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// ErrNoLifecycle: the server has no lifecycle rules.
var ErrNoLifecycle = errors.New("this server has no lifecycle rules")

// ErrRefused: the server takes no such rules. It does not know a storage class or
// a kind of rule, or its own rules forbid what is asked.
var ErrRefused = errors.New("the server refuses the rules")

// refusals are the codes that servers answer then. S3 itself calls nearly all
// of that MalformedXML or InvalidRequest.
var refusals = []string{"InvalidStorageClass", "InvalidArgument", "InvalidRequest", "MalformedXML"}

// told says at most five rules with what they do.
func told(rules []lifecycle.Rule) string {
	var all []string
	for i, r := range rules {
		if i == 5 {
			all = append(all, fmt.Sprintf("%d more", len(rules)-i))
			break
		}
		all = append(all, r.String())
	}
	return strings.Join(all, ", ")
}

// CompetitorError: rules that were written are gone again and others are there.
// Two writers each replace the whole document.
type CompetitorError struct {
	Bucket string
	Lost   []string // ids of our rules that are gone
	Seen   []string // ids of the rules that are there instead
}

func (e *CompetitorError) Error() string {
	return fmt.Sprintf("the lifecycle rules %s of bucket %s are gone, while %s are there: something else replaces all rules of the bucket, most likely an aws_s3_bucket_lifecycle_configuration. "+
		"Let one of the two write them: remove that resource, or copy these rules into it and take them out here",
		list(e.Lost), e.Bucket, list(e.Seen))
}

// list names at most five ids.
func list(ids []string) string {
	var quoted []string
	for i, id := range ids {
		if i == 5 {
			return fmt.Sprintf("%s and %d more", strings.Join(quoted, ", "), len(ids)-i)
		}
		quoted = append(quoted, fmt.Sprintf("%.80q", id))
	}
	return strings.Join(quoted, ", ")
}

// fail words an error of the SDK; permission is what the call needs.
func (b *Bucket) fail(ctx context.Context, verb, permission string, err error) error {
	op := fmt.Sprintf("%s the lifecycle rules of bucket %s", verb, b.name)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	code, status := s3.Answer(err)
	switch {
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed, code == "NotImplemented":
		return fmt.Errorf("%s: %w (%s, HTTP %d)", op, ErrNoLifecycle, code, status)
	case code == "AccessDenied":
		return fmt.Errorf("%s: %w: allow this identity %s on arn:aws:s3:::%s (HTTP %d)", op, objstore.ErrDenied, permission, b.name, status)
	case slices.Contains(refusals, code):
		return fmt.Errorf("%s: %w: %w", op, ErrRefused, s3.Explain(err, b.cfg.Region))
	}
	return fmt.Errorf("%s: %w", op, s3.Explain(err, b.cfg.Region))
}

// code of the server's error inside err, "" when there is none.
func code(err error) string {
	code, _ := s3.Answer(err)
	return code
}
