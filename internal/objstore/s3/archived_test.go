package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// No server that runs here archives objects, so the answer is AWS' own text.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
const archivedAnswer = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class</Message><StorageClass>%s</StorageClass><AccessTier></AccessTier><RequestId>9FEFFF118E15B86F</RequestId><HostId>WVQ5kzhiT</HostId></Error>`

func TestAnArchivedObjectSaysHowItIsBroughtBack(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, archivedAnswer, class)
		}))
		t.Cleanup(srv.Close)
		s, err := s3.Open(t.Context(), s3.Config{
			Bucket: "acme", Prefix: "prod", Region: "us-east-1", Endpoint: srv.URL,
			AWSConfig: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = objstore.Retry(s, objstore.RetryOptions{}).Get(t.Context(), "points/app/logical/x/archive.0000", objstore.GetOptions{VersionID: "v1"})
		if !errors.Is(err, objstore.ErrArchived) || errors.Is(err, objstore.ErrTransient) || errors.Is(err, objstore.ErrDenied) {
			t.Errorf("%v, want %v", err, objstore.ErrArchived)
		}
		wantOneLine(t, err, "get points/app/logical/x/archive.0000 in s3://acme/prod: archived", class, "has to be brought back",
			"aws s3api restore-object --bucket acme --key 'prod/points/app/logical/x/archive.0000' --version-id v1 --restore-request Days=7")
	}
}
