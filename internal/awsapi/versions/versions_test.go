package versions_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func open(t *testing.T, srv *testenv.S3Server, key string, change ...func(*versions.Options)) *versions.Object {
	t.Helper()
	opts := versions.Options{
		Bucket: srv.Bucket, Key: key, Region: srv.Region, Endpoint: srv.Endpoint,
		AWS: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	}
	for _, c := range change {
		c(&opts)
	}
	o, err := versions.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func put(t *testing.T, srv *testenv.S3Server, key, text string) {
	t.Helper()
	if _, err := srv.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &srv.Bucket, Key: &key, Body: strings.NewReader(text), ContentType: aws.String("application/json")}); err != nil {
		t.Fatal(err)
	}
}

func TestAnObjectAndAllThatItWas(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t, testenv.S3Versioned())
	const key = "env:/prod/terraform.tfstate"
	ctx, o := t.Context(), open(t, srv, key)

	if _, err := o.List(ctx); !errors.Is(err, objstore.ErrNotFound) {
		t.Fatalf("an object that never was: %v", err)
	}
	for i := range 3 {
		put(t, srv, key, fmt.Sprintf("state %d", i))
	}
	put(t, srv, key+".tflock", "another object")
	list, err := o.List(ctx)
	if err != nil || len(list) != 3 || !list[0].Latest || list[1].Latest || list[0].ID == "" || list[0].Modified.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, v := range list {
		data, got, err := o.Read(ctx, v.ID, 100)
		if want := fmt.Sprintf("state %d", 2-i); err != nil || string(data) != want || v.Size != int64(len(want)) || got.ETag != v.ETag {
			t.Errorf("version %d: %q, %+v, %v", i, data, got, err)
		}
	}
	if _, _, err := o.Read(ctx, "", 3); !errors.Is(err, versions.ErrTooLarge) {
		t.Errorf("more than was asked for: %v", err)
	}
	if _, _, err := o.Read(ctx, "01KAJ00000000000000000000A", 100); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("a version that is not there: %v", err)
	}

	// Written back only over what was seen.
	if _, err := o.Write(ctx, []byte("state 0"), list[1].ETag); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("over something else than was seen: %v", err)
	}
	written, err := o.Write(ctx, []byte("state 0"), list[0].ETag)
	if err != nil || written.ID == "" {
		t.Fatalf("%+v, %v", written, err)
	}
	if data, v, err := o.Read(ctx, "", 100); err != nil || string(data) != "state 0" || v.ID != written.ID {
		t.Errorf("%q, %+v, %v", data, v, err)
	}
	if again, err := o.Write(ctx, []byte("state 0"), list[0].ETag); err != nil || again.ID != written.ID {
		t.Errorf("a write whose answer was lost: %+v, %v", again, err)
	}
	if _, err := o.Write(ctx, nil, ""); err == nil {
		t.Error("written without a condition")
	}
	head, err := srv.Client().HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &srv.Bucket, Key: aws.String(key)})
	if err != nil || aws.ToString(head.ContentType) != "application/json" {
		t.Errorf("%v, %v", aws.ToString(head.ContentType), err)
	}

	// A deletion is a version, too.
	if err := o.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	list, err = o.List(ctx)
	if err != nil || len(list) != 5 || !list[0].Deleted || !list[0].Latest {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, _, err := o.Read(ctx, list[0].ID, 100); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("a deletion was read: %v", err)
	}
	if _, _, err := o.Read(ctx, "", 100); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("a deleted object was read: %v", err)
	}
}

func TestAnObjectBesideIsMadeOnce(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t, testenv.S3Versioned())
	ctx, lock := t.Context(), open(t, srv, "a/terraform.tfstate").Beside(".tflock")
	for _, text := range []string{"mine", "mine"} { // the second as after a lost answer
		if err := lock.Create(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := lock.Create(ctx, []byte("theirs")); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("over another's: %v", err)
	}
	if err := lock.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	// This server takes nothing conditionally over a delete marker, AWS does.
	if err := lock.Create(ctx, []byte("mine")); err != nil && !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("over a deletion: %v", err)
	}
}

func TestManyVersionsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t, testenv.S3Versioned())
	for i := range 1003 { // a page has a thousand
		put(t, srv, "state", fmt.Sprint(i))
	}
	list, err := open(t, srv, "state").List(t.Context())
	if err != nil || len(list) != 1003 {
		t.Fatalf("%d, %v", len(list), err)
	}
	seen := map[string]bool{}
	for _, v := range list {
		seen[v.ID] = true
	}
	if len(seen) != 1003 {
		t.Errorf("%d different versions", len(seen))
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	for name, c := range map[string]struct {
		change func(*versions.Options)
		is     error
		want   string
	}{
		"bucket": {func(o *versions.Options) { o.Bucket = "no-such-bucket" }, objstore.ErrNoBucket, "correct its name"},
		"key": {func(o *versions.Options) {
			o.AWS.Credentials = credentials.NewStaticCredentialsProvider(srv.AccessKey, "wrong", "")
		}, objstore.ErrDenied, "AWS_SECRET_ACCESS_KEY"},
		"server": {func(o *versions.Options) { o.Endpoint = "http://" + testenv.FreeAddr(t) }, nil, "is the server reachable"},
	} {
		o := open(t, srv, "state", c.change)
		_, err := o.List(t.Context())
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := versions.Open(t.Context(), versions.Options{Bucket: "b", AWS: &aws.Config{}, Key: "k"}); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
	// A bucket without versions has one, and says so.
	put(t, srv, "state", "x")
	if list, err := open(t, srv, "state").List(t.Context()); err != nil || len(list) != 1 || !list[0].Latest {
		t.Errorf("%+v, %v", list, err)
	}
}
