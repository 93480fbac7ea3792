package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// kinds says what a server's error code means to us.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var kinds = map[string]struct {
	kind error
	hint string
}{
	"NoSuchKey":     {objstore.ErrNotFound, ""},
	"NoSuchVersion": {objstore.ErrNotFound, ""},
	"NoSuchUpload":  {objstore.ErrNotFound, "the upload was aborted or is complete"},
	"NotFound":      {objstore.ErrNotFound, ""},
	"NoSuchBucket":  {objstore.ErrNoBucket, "create it, or correct its name or the endpoint"},

	"PreconditionFailed": {objstore.ErrPrecondition, ""},

	"AccessDenied":          {objstore.ErrDenied, "allow this identity s3:GetObject, PutObject, DeleteObject, ListBucket, AbortMultipartUpload and ListBucketMultipartUploads, for tiers GetObjectTagging and PutObjectTagging, and for object lock GetObjectRetention, PutObjectRetention and PutObjectLegalHold"},
	"AccountProblem":        {objstore.ErrDenied, "see the AWS console for the account"},
	"InvalidAccessKeyId":    {objstore.ErrDenied, "the access key is not known to this server: check AWS_ACCESS_KEY_ID or the profile"},
	"XAdminUserNotFound":    {objstore.ErrDenied, "the access key is not known to this server: check AWS_ACCESS_KEY_ID or the profile"},
	"SignatureDoesNotMatch": {objstore.ErrDenied, "the secret key is wrong, or a proxy changes the request: check AWS_SECRET_ACCESS_KEY"},
	"ExpiredToken":          {objstore.ErrDenied, "the session has expired: sign in again"},
	"TokenRefreshRequired":  {objstore.ErrDenied, "the session has expired: sign in again"},
	"InvalidToken":          {objstore.ErrDenied, "the session token is damaged: check AWS_SESSION_TOKEN"},
	"RequestTimeTooSkewed":  {objstore.ErrDenied, "this machine's clock is wrong: set it (NTP)"},
	"InvalidObjectState":    {objstore.ErrArchived, "restore the object first"},
	"KMS.DisabledException": {objstore.ErrDenied, "the bucket's KMS key is disabled"},
	"KMS.NotFoundException": {objstore.ErrDenied, "the bucket's KMS key is gone"},

	"QuotaExceeded":               {objstore.ErrNoSpace, "raise the quota or rotate backups away"},
	"InsufficientStorage":         {objstore.ErrNoSpace, "add disks or rotate backups away"},
	"XMinioStorageFull":           {objstore.ErrNoSpace, "add disks or rotate backups away"},
	"XMinioAdminBucketQuotaError": {objstore.ErrNoSpace, "raise the quota or rotate backups away"},

	"BadDigest":                   {objstore.ErrChecksum, "the server received other bytes than were sent"},
	"InvalidDigest":               {objstore.ErrChecksum, ""},
	"XAmzContentChecksumMismatch": {objstore.ErrChecksum, "the server received other bytes than were sent"},
	"XAmzContentSHA256Mismatch":   {objstore.ErrChecksum, "the server received other bytes than were sent"},
	"NotImplemented":              {objstore.ErrUnsupported, ""},
	"MethodNotAllowed":            {objstore.ErrUnsupported, ""},
	"InvalidStorageClass":         {objstore.ErrUnsupported, "the server does not have this storage class"},
	"KeyTooLongError":             {objstore.ErrInvalidKey, ""},
	"InternalError":               {objstore.ErrTransient, ""},
	"ServiceUnavailable":          {objstore.ErrTransient, ""},
	"SlowDown":                    {objstore.ErrTransient, ""},
	"SlowDownRead":                {objstore.ErrTransient, ""},
	"SlowDownWrite":               {objstore.ErrTransient, ""},
	"RequestTimeout":              {objstore.ErrTransient, ""},
	"RequestTimeoutException":     {objstore.ErrTransient, ""},
	"Throttling":                  {objstore.ErrTransient, ""},
	"ThrottlingException":         {objstore.ErrTransient, ""},
	"RequestLimitExceeded":        {objstore.ErrTransient, ""},
	"OperationAborted":            {objstore.ErrTransient, "another change of the bucket is going on"},
	"ConditionalRequestConflict":  {objstore.ErrTransient, "another write of the object was going on"},
	"IncompleteBody":              {objstore.ErrTransient, ""},
	"ClientDisconnected":          {objstore.ErrTransient, ""},
	"XMinioServerNotInitialized":  {objstore.ErrTransient, ""},
	"KMS.ThrottlingException":     {objstore.ErrTransient, ""},
	"KMS.KMSInternalException":    {objstore.ErrTransient, ""},
}

// fail turns an error of the SDK into one readable line with the port's type.
func (s *Store) fail(ctx context.Context, op, key string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s %s: %w", op, key, ended)
	}
	return fmt.Errorf("%s in %s: %w", strings.TrimSuffix(op+" "+key, " "), s.URL(), s.classify(err))
}

func (s *Store) classify(err error) error {
	// What has its type already comes from us.
	for _, kind := range []error{objstore.ErrTransient, objstore.ErrChecksum, objstore.ErrDenied, objstore.ErrUnsupported, objstore.ErrNotFound, objstore.ErrPrecondition, objstore.ErrArchived, objstore.ErrLockUnknown} {
		if errors.Is(err, kind) {
			return innermost(err, kind)
		}
	}
	var creds *credentialsError
	if errors.As(err, &creds) {
		return fmt.Errorf("%w: no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role (%s)",
			objstore.ErrDenied, oneLine(strings.ReplaceAll(creds.Error(), "operation error ", "")))
	}
	var res *awshttp.ResponseError
	if errors.As(err, &res) && status(err) != 0 { // the SDK wraps broken connections too
		return s.answered(res, err)
	}
	return network(err)
}

// innermost drops the SDK's frames around our own error, the last one of the
// chain that says more than kind itself.
func innermost(err, kind error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil || !errors.Is(next, kind) || next.Error() == kind.Error() {
			return err
		}
		err = next
	}
}

// answered words an error that the server sent.
func (s *Store) answered(res *awshttp.ResponseError, err error) error {
	status := res.HTTPStatusCode()
	code, message := http.StatusText(status), ""
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "" {
		code, message = api.ErrorCode(), oneLine(api.ErrorMessage())
	}
	said := fmt.Sprintf("%s, HTTP %d", code, status)
	if message != "" && message != code {
		said = fmt.Sprintf("%s: %s", said, message)
	}
	if res.RequestID != "" {
		said += ", request " + res.RequestID
	}
	if there := res.Response.Header.Get("X-Amz-Bucket-Region"); there != "" && there != s.region && status < 500 && status != http.StatusNotFound {
		return fmt.Errorf("the bucket is in region %s, not %s: set the region to %s (%s)", there, s.region, there, said)
	}
	if status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect || code == "AuthorizationHeaderMalformed" {
		return fmt.Errorf("region %s or the endpoint is wrong for this bucket: correct it (%s)", s.region, said)
	}
	if lacksLock(code, message) {
		return fmt.Errorf("%w: the bucket has no Object Lock, which a bucket gets when it is made (%s)", objstore.ErrUnsupported, said)
	}
	hint, kind := byStatus(status)
	if k, ok := kinds[code]; ok {
		kind, hint = k.kind, k.hint
	} else if status == http.StatusNotFound && message != "" {
		kind = nil // something else than the object is missing
	}
	switch {
	case kind == nil:
		return errors.New("the server answered " + said)
	case hint == "":
		return fmt.Errorf("%w (%s)", kind, said)
	}
	return fmt.Errorf("%w: %s (%s)", kind, hint, said)
}

// byStatus judges answers without a known code, such as those to HEAD.
func byStatus(status int) (hint string, kind error) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "check the credentials and what they may do with the bucket", objstore.ErrDenied
	case http.StatusNotFound:
		return "", objstore.ErrNotFound
	case http.StatusPreconditionFailed:
		return "", objstore.ErrPrecondition
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusConflict:
		return "", objstore.ErrTransient
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return "", objstore.ErrUnsupported
	case http.StatusInsufficientStorage:
		return "add disks or rotate backups away", objstore.ErrNoSpace
	}
	if status >= 500 {
		return "", objstore.ErrTransient
	}
	return "", nil
}

// network words a failure without an answer.
func network(err error) error {
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &cert), errors.As(err, &unknown), errors.As(err, &host):
		return fmt.Errorf("the server's certificate is not trusted: set AWS_CA_BUNDLE to its issuer's file or correct the endpoint (%s)", deepest(err))
	case errors.As(err, &record):
		return fmt.Errorf("the endpoint does not speak TLS: write http:// if that is meant (%s)", deepest(err))
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("the server's name is not known: correct the endpoint, bucket or region (%s)", oneLine(dns.Error()))
	}
	return fmt.Errorf("%w: is the server reachable? (%s)", objstore.ErrTransient, deepest(err))
}

// deepest is the text of the network error inside, or else of the last cause.
func deepest(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return oneLine(op.Error())
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return oneLine(err.Error())
		}
		err = next
	}
}

// oneLine keeps a foreign text short and on its line.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}

// status of the answer inside err, 0 when there was none.
func status(err error) int {
	var res *awshttp.ResponseError
	if errors.As(err, &res) && res.ResponseError != nil && res.Response != nil && res.Response.Response != nil {
		return res.HTTPStatusCode()
	}
	return 0
}

// code of the server's error inside err, "" when there was none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
