package versions

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// kinds says what a server's error code means, with the words of the port where
// it has them. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var kinds = map[string]struct {
	kind error
	hint string
}{
	"NoSuchKey":             {objstore.ErrNotFound, ""},
	"NotFound":              {objstore.ErrNotFound, ""},
	"NoSuchVersion":         {objstore.ErrNotFound, "no version has this id"},
	"MethodNotAllowed":      {objstore.ErrNotFound, "this version is a deletion"}, // reading a delete marker by its id
	"NoSuchBucket":          {objstore.ErrNoBucket, "correct its name, the region or the endpoint"},
	"PreconditionFailed":    {objstore.ErrPrecondition, ""},
	"AccessDenied":          {objstore.ErrDenied, "allow this identity s3:ListBucketVersions, GetObject, GetObjectVersion and, to restore, PutObject and DeleteObject of the lock"},
	"InvalidAccessKeyId":    {objstore.ErrDenied, "check AWS_ACCESS_KEY_ID or the profile"},
	"SignatureDoesNotMatch": {objstore.ErrDenied, "check AWS_SECRET_ACCESS_KEY"},
	"ExpiredToken":          {objstore.ErrDenied, "sign in again"},
	"NotImplemented":        {objstore.ErrUnsupported, ""},
}

// fail words an error of the SDK in one line, without its frames.
func (o *Object) fail(ctx context.Context, what string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s %s: %w", what, o.URL(), ended)
	}
	var res *awshttp.ResponseError
	if !errors.As(err, &res) || res.ResponseError == nil || res.Response == nil || res.Response.Response == nil || res.HTTPStatusCode() == 0 {
		return fmt.Errorf("%s %s: is the server reachable, and are there credentials? (%s)", what, o.URL(), short(deepest(err)))
	}
	status := res.HTTPStatusCode()
	code, said := http.StatusText(status), ""
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "" {
		code, said = api.ErrorCode(), api.ErrorMessage()
	}
	if there := res.Response.Header.Get("X-Amz-Bucket-Region"); there != "" && (status == http.StatusMovedPermanently || status == http.StatusBadRequest) {
		return fmt.Errorf("%s %s: the bucket is in region %s: give that one (%s, HTTP %d)", what, o.URL(), there, code, status)
	}
	k, known := kinds[code]
	switch {
	case known:
	case status == http.StatusPreconditionFailed, status == http.StatusConflict && (what == "write" || what == "create"):
		k.kind = objstore.ErrPrecondition
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		k.kind = objstore.ErrDenied
	case status == http.StatusNotFound:
		k.kind = objstore.ErrNotFound
	case status == http.StatusBadRequest && strings.Contains(strings.ToLower(said), "version"):
		k.kind, k.hint = objstore.ErrNotFound, "no version has this id"
	default:
		return fmt.Errorf("%s %s: the server answered %s, HTTP %d: %s", what, o.URL(), code, status, short(said))
	}
	text := fmt.Sprintf("%s, HTTP %d", code, status)
	if k.hint != "" {
		text = k.hint + ": " + text
	}
	return fmt.Errorf("%s %s: %w (%s)", what, o.URL(), k.kind, text)
}

// deepest is the cause of a failure without an answer, without the SDK's frames.
func deepest(err error) string {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Error()
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// short keeps a foreign text short and on its line.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}

func plain(etag *string) string {
	if etag == nil {
		return ""
	}
	return strings.Trim(*etag, `"`)
}

// sortNewestFirst keeps the server's order, which knows more than the seconds of
// Modified, except that versions and delete markers come in two lists.
func sortNewestFirst(versions []Version) {
	slices.SortStableFunc(versions, func(a, b Version) int {
		switch {
		case a.Latest != b.Latest && a.Latest:
			return -1
		case a.Latest != b.Latest:
			return 1
		}
		return b.Modified.Compare(a.Modified)
	})
}
