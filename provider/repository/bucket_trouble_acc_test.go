package repository_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func wants(t *testing.T, r providertest.Result, failed bool, words ...string) {
	t.Helper()
	if r.Failed != failed {
		t.Fatalf("failed is %v:\n%s", r.Failed, r)
	}
	for _, w := range words {
		if !providertest.Message(w).MatchString(r.String()) {
			t.Errorf("%q is not in\n%s", w, r)
		}
	}
}

// changes are the requests since that changed something of a bucket itself.
func (c *cloud) changes(bucket string) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.requests {
		if !strings.HasPrefix(r, "GET") && !strings.HasPrefix(r, "HEAD") && strings.Contains(r, " "+bucket+" ?") {
			all = append(all, r)
		}
	}
	c.requests = nil
	return all
}

func TestAccRepository_aBucketOfSomebodyElseIsRefusedUsedOrTakenOver(t *testing.T) {
	c := newCloud(t)
	name := c.Bucket
	config := func(lines string) string { return inCloud(fmt.Sprintf("bucket = %q\n%s", name, lines)) }
	w := c.workspace(config(""))
	wants(t, w.Apply(), true, "is there already, and not made by pgbackup", "set create_bucket = false")
	if got := c.changes(name); got != nil {
		t.Errorf("a bucket of somebody else was changed: %v", got)
	}
	w.Configure(config("create_bucket = false"))
	r := w.Apply()
	wants(t, r, false, "its bucket lacks encryption, ownership, public_access, transport, versioning", "aws_s3_bucket_versioning")
	if got := c.changes(name); got != nil {
		t.Errorf("a bucket that is only used was changed: %v", got)
	}
	empty(t, w)
	if _, err := c.Client().PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	empty(t, w)
	// A state of an older version knows none of the newer attributes.
	w.EditState(address, func(attributes map[string]any) {
		for _, name := range []string{"protections", "tags_all", "bucket_arn", "replica_id"} {
			delete(attributes, name)
		}
		s3, _ := attributes["s3"].(map[string]any)
		for _, name := range []string{"create_bucket", "kms_key_id", "deny_unencrypted", "object_lock", "replica", "tags"} {
			delete(s3, name)
		}
	})
	if plan := w.Plan(); plan.Failed || !slices.Equal(w.Show(address).Actions, []string{"update"}) {
		t.Errorf("planned %v\n%s", w.Show(address).Actions, plan)
	}
	// The default is not enough to change a bucket that was only used.
	w.Configure(config(""))
	wants(t, w.Plan(), true, "its bucket was there before", "To go on using it as it is, set create_bucket = false")
	w.Configure(config("create_bucket = true"))
	wants(t, w.Apply(), false, "pgbackup will look after its bucket from now on")
	empty(t, w)
	wants(t, w.MustApply("-destroy"), false, "its bucket stays: it was there before")
}

func TestAccRepository_aBucketHalfMadeIsFinishedAndOneDeletedByHandMadeAgain(t *testing.T) {
	c := newCloud(t)
	only := func(method, query string, status int, code string) {
		c.fail(func(r *http.Request) (int, string) {
			if r.Method == method && (query == "" || r.URL.Query().Has(query)) && r.URL.Path == "/half" {
				return status, code
			}
			return 0, ""
		})
	}
	w := c.workspace(inCloud("bucket = \"half\""))
	only(http.MethodHead, "", http.StatusForbidden, "AccessDenied")
	wants(t, w.Apply(), true, "looking at S3 bucket (half): access denied: allow this identity s3:ListBucket on arn:aws:s3:::half, or choose another name")
	// Who may make a bucket may not be allowed to tag it at once.
	c.fail(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPut && r.URL.Path == "/half" && (r.URL.Query().Has("versioning") || r.URL.RawQuery == "" && r.ContentLength > 0) {
			return http.StatusForbidden, "AccessDenied"
		}
		return 0, ""
	})
	wants(t, w.Apply(), true, "enabling versioning of S3 bucket (half): access denied: allow this identity s3:PutBucketVersioning")
	only(http.MethodPut, "encryption", http.StatusServiceUnavailable, "SlowDown")
	wants(t, w.Apply(), true, "setting the encryption of S3 bucket (half): too many requests")
	only(http.MethodGet, "policy", http.StatusInternalServerError, "InternalError")
	wants(t, w.Apply(), true, "InternalError")
	c.fail(nil)
	c.changes("half")
	w.MustApply()
	if got := c.changes("half"); slices.ContainsFunc(got, func(r string) bool { return strings.HasPrefix(r, "PUT half ?x-id=CreateBucket") || r == "PUT half ?" }) {
		t.Errorf("made twice: %v", got)
	}
	empty(t, w)

	// What this identity may not read is said, and is no endless difference.
	only(http.MethodGet, "publicAccessBlock", http.StatusForbidden, "AccessDenied")
	empty(t, w)
	if got := protections(t, w.Show(address).After)["public_access"]; got != "not readable by this identity" {
		t.Errorf("public_access is %v", got)
	}
	only(http.MethodGet, "versioning", http.StatusServiceUnavailable, "SlowDown")
	plan := w.Plan()
	wants(t, plan, false, "what protects its bucket cannot be read; the state is kept as it was", "too many requests")
	c.fail(nil)
	w.MustApply()

	deleteAll(t, c, "half")
	plan = w.Plan()
	wants(t, plan, false, "is gone with its bucket: both will be created anew")
	if got := w.Show(address).Actions; !slices.Equal(got, []string{"create"}) {
		t.Errorf("planned %v", got)
	}
	w.MustApply()
	empty(t, w)
	deleteAll(t, c, "half")
	wants(t, w.Apply("-destroy", "-refresh=false"), false, "its bucket is gone, and everything with it")
}

// deleteAll deletes a bucket by hand, with everything in it.
func deleteAll(t *testing.T, c *cloud, bucket string) {
	t.Helper()
	out, err := c.Client().ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range out.Versions {
		if _, err := c.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: v.Key, VersionId: v.VersionId}); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range out.DeleteMarkers {
		if _, err := c.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: v.Key, VersionId: v.VersionId}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Client().DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
}

func TestAccRepository_aLockIsTheBucketsAndTheRepositorys(t *testing.T) {
	c := newCloud(t)
	config := func(lock string, more ...string) string { return inCloud("bucket = \"locked\"\n"+lock, more...) }
	days := func(n int) string {
		return fmt.Sprintf("object_lock = {\n mode = \"GOVERNANCE\"\n days = %d\n }", n)
	}
	w := c.workspace(inCloud(fmt.Sprintf("bucket = %q\n create_bucket = false\n %s", c.Bucket, days(7))))
	wants(t, w.Apply(), true, "has no Object Lock (it is off), so that object_lock could protect nothing", "put-object-lock-configuration")
	full := config(days(7), "force_destroy = true")
	w.Configure(full)
	w.MustApply()
	empty(t, w)
	r := providertest.Open(t, "s3://locked/prod?path_style=true&region=us-east-1")
	if p, locked, err := r.Protection(t.Context()); err != nil || !locked || p.Mode != "GOVERNANCE" || p.Days != 7 {
		t.Errorf("%v %v %v", p, locked, err)
	}
	w.Configure(config(days(14), "force_destroy = true"))
	w.MustApply()
	empty(t, w)
	if p, _, err := providertest.Open(t, "s3://locked/prod?path_style=true&region=us-east-1").Protection(t.Context()); err != nil || p.Days != 14 {
		t.Errorf("%v %v", p, err)
	}
	importsAs(t, w, config(days(14)), "s3://locked/prod?path_style=true&region=us-east-1")
	w.Configure(config(days(14), "force_destroy = true"))
	w.MustApply()
	w.Configure(config("", "force_destroy = true"))
	w.MustApply()
	empty(t, w) // the bucket keeps Object Lock for ever
	providertest.AddPoint(t, providertest.Open(t, "s3://locked/prod?path_style=true&region=us-east-1"), "shop")
	plan := w.Plan("-destroy")
	wants(t, plan, false, "destroying it deletes 1 recovery points of 1 source(s)", "versions of objects")
	r2 := w.Apply("-destroy")
	if r2.Failed {
		t.Fatal(r2)
	}
	wants(t, r2, false, "its bucket stays", "protected by Object Lock until their time")
}

func TestAccRepository_forceDestroyRemovesItsVersionsAndNothingElse(t *testing.T) {
	c := newCloud(t)
	id := "s3://shared/prod?path_style=true&region=us-east-1"
	w := c.workspace(inCloud("bucket = \"shared\"", "force_destroy = true"))
	w.MustApply()
	providertest.AddPoint(t, providertest.Open(t, id), "shop")
	put := func(key string) {
		t.Helper()
		if _, err := c.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("shared"), Key: aws.String(key), Body: strings.NewReader("theirs")}); err != nil {
			t.Fatal(err)
		}
	}
	put("prod/theirs.txt")
	put("production/manifests/x")
	wants(t, w.MustApply("-destroy"), false, "were deleted for good", "its bucket stays: it holds other objects")
	out, err := c.Client().ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: aws.String("shared")})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, v := range out.Versions {
		left = append(left, aws.ToString(v.Key))
	}
	if !slices.Equal(left, []string{"prod/theirs.txt", "production/manifests/x"}) || len(out.DeleteMarkers) != 0 {
		t.Errorf("left: %v and %d markers", left, len(out.DeleteMarkers))
	}
	// Without force_destroy, versions of points that retention deleted may still be
	// wanted back.
	w.Configure(inCloud("bucket = \"kept\""))
	w.MustApply()
	r := providertest.Open(t, "s3://kept/prod?path_style=true&region=us-east-1")
	removePoint(t, r, providertest.AddPoint(t, r, "shop"))
	wants(t, w.MustApply("-destroy"), false, "its bucket stays", "of recovery points that were deleted or copied earlier")
}

// versitygw knows some of the settings and not others, as servers other than AWS do.
func TestAccRepository_whatAnotherServerLacksIsAWarning(t *testing.T) {
	s := testenv.S3(t)
	for _, pair := range s.Env() {
		key, value, _ := strings.Cut(pair, "=")
		t.Setenv(key, value)
	}
	config := fmt.Sprintf("provider \"pgbackup\" {\n region = %q\n endpoints = {\n s3 = %q\n }\n}\nresource \"pgbackup_repository\" \"main\" {\n s3 = {\n bucket = \"anew\"\n }\n}\n", s.Region, s.Endpoint)
	w := providertest.NewWorkspace(t, config)
	wants(t, w.Apply(), false, "its server does not offer", "public_access")
	empty(t, w)
	w.Configure(strings.Replace(config, "bucket = \"anew\"", "bucket = \"anew\"\n kms_key_id = \""+sourceKey+"\"", 1))
	wants(t, w.Apply(), true, "setting the encryption of S3 bucket (anew): it is not offered by this server")
	w.Configure(config)
	w.MustApply("-destroy")
}

// An emulator that is declared as endpoint loses parts of what it is told.
func TestAccRepository_anEmulatorAsEndpointIsNoEndlessDifference(t *testing.T) {
	c := newCloud(t)
	t.Setenv("AWS_ENDPOINT_URL", c.Endpoint) // moto itself
	config := fmt.Sprintf("provider \"pgbackup\" {\n region = \"us-east-1\"\n endpoints = {\n s3 = %q\n }\n}\nresource \"pgbackup_repository\" \"main\" {\n s3 = {\n bucket = \"emu\"\n prefix = \"prod\"\n replica = {\n bucket = \"emu-dr\"\n region = \"eu-west-1\"\n }\n }\n}\n", c.Endpoint)
	before := c.buckets()
	w := providertest.NewWorkspace(t, config)
	w.MustApply()
	empty(t, w)
	id, _ := w.State(address)["id"].(string)
	importsAs(t, w, config, id)
	w.MustApply("-destroy")
	if got := c.buckets(); !slices.Equal(got, before) || len(c.roles()) != 0 {
		t.Errorf("left: %v %v", got, c.roles())
	}
}

func TestAccRepository_mistakesInTheS3BlockAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"object_lock = {\n mode = \"COMPLIANCE\"\n days = 7\n}":                                               "set acknowledge_compliance = true",
		"object_lock = {\n mode = \"GOVERNANCE\"\n days = 0\n}":                                               "must be between 1 and 36500",
		"create_bucket = false\n tags = { a = \"b\" }":                                                        "the bucket's settings are left as they are. Remove tags",
		"kms_key_id = \"alias/mine\"":                                                                         "give the ARN of a KMS key",
		"kms_key_id = \"" + replicaKey + "\"":                                                                 "kms_key_id is not a key of us-east-1, where the bucket is",
		"replica = {\n bucket = \"x-1\"\n region = \"eu-west-1\"\n}":                                          "must be another bucket",
		"replica = {\n bucket = \"x-2\"\n region = \"us-east-1\"\n}":                                          "a copy in the same region is lost with it",
		"kms_key_id = \"" + sourceKey + "\"\nreplica = {\n bucket = \"x-2\"\n region = \"eu-west-1\"\n}":      "give replica.kms_key_id",
		"replica = {\n bucket = \"x-2\"\n region = \"eu-central-1\"\n kms_key_id = \"" + replicaKey + "\"\n}": "not one of eu-central-1",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: inCloud("bucket = \"x-1\"\n" + lines), PlanOnly: true, ExpectError: providertest.Message(want)})
		})
	}
}
