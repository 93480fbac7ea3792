package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Above looks at the shorter prefixes and the bucket itself. An identity that is
// bound to its prefix is refused there, and what it may not see is passed over.
func (s *Store) Above(ctx context.Context, key string) (places []string, err error) {
	if err := check(ctx, "look above for", key); err != nil {
		return nil, err
	}
	for at := strings.TrimSuffix(s.prefix, "/"); at != ""; {
		at = at[:max(strings.LastIndexByte(at, '/'), 0)]
		place := strings.TrimSuffix("s3://"+s.bucket+"/"+at, "/")
		full := strings.TrimPrefix(at+"/"+key, "/")
		_, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String(full)})
		switch {
		case err == nil:
			places = append(places, place)
		case status(err) == http.StatusNotFound, status(err) == http.StatusForbidden:
		default:
			if err = s.fail(ctx, "look in "+place+" for", key, err); !errors.Is(err, objstore.ErrDenied) {
				return nil, err
			}
		}
	}
	return places, nil
}
