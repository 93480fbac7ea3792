package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// ErrLacking: the server, which is not AWS, has no such setting.
var ErrLacking = errors.New("is not offered by this server")

// notLacking are answers with a status of a client's mistake that say something
// else than that the server does not know what is asked.
var notLacking = []string{"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "NoSuchBucket", "SlowDown", "OperationAborted", "InvalidTag", "MalformedXML", "MalformedPolicy", "MalformedPolicyDocument"}

// explain words an error of the SDK. An answer by which a server other than AWS
// says that it does not know the request becomes ErrLacking: they have many codes
// for that. AWS lacks nothing.
func (b *Bucket) explain(ctx context.Context, doing, permission string, err error) error {
	if err == nil || b.onAWS() || ctx.Err() != nil {
		return awsapi.Explain(ctx, doing, permission, err)
	}
	code, status := s3.Answer(err)
	unknown := status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed ||
		status/100 == 4 && status != http.StatusForbidden && status != http.StatusTooManyRequests && !slices.Contains(notLacking, code)
	if unknown {
		return fmt.Errorf("%s: it %w (%s, HTTP %d)", doing, ErrLacking, code, status)
	}
	return awsapi.Explain(ctx, doing, permission, err)
}
