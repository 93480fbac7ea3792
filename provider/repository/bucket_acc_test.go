package repository_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// cloud is moto behind a proxy that keeps what moto loses, the replication rules,
// and bucket policies, of which moto heeds the Deny and not the Condition; and that
// answers with an error where a test wants one. It is reached as AWS is: no
// endpoint is declared, so that nothing may be lacking.
type cloud struct {
	*testenv.AWSServer
	t        *testing.T
	mu       sync.Mutex
	kept     map[string][]byte // documents by kind and bucket
	fails    func(r *http.Request) (status int, code string)
	requests []string // "PUT bucket ?versioning"
	front    string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{AWSServer: testenv.AWS(t), t: t, kept: map[string][]byte{}}
	target, err := url.Parse(c.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		c.mu.Lock()
		c.requests = append(c.requests, r.Method+" "+name+" ?"+r.URL.RawQuery)
		fails := c.fails
		c.mu.Unlock()
		if fails != nil {
			if status, code := fails(r); status != 0 {
				w.WriteHeader(status)
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
				return
			}
		}
		for kind, none := range map[string]string{"replication": "ReplicationConfigurationNotFoundError", "policy": "NoSuchBucketPolicy"} {
			if r.URL.Query().Has(kind) {
				c.keep(w, r, kind+" "+name, none)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	for _, pair := range c.Env() {
		key, value, _ := strings.Cut(pair, "=")
		t.Setenv(key, value)
	}
	t.Setenv("AWS_ENDPOINT_URL", front.URL) // for what the test itself opens
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	c.front = front.URL
	return c
}

// workspace is one whose provider takes the cloud for AWS.
func (c *cloud) workspace(config string) *providertest.Workspace {
	c.t.Helper()
	return providertest.NewWorkspace(c.t, config, providertest.AsAWS(c.t, c.front))
}

func (c *cloud) keep(w http.ResponseWriter, r *http.Request, document, none string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		if c.kept[document] == nil {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", none)
			return
		}
		_, _ = w.Write(c.kept[document])
	case http.MethodPut:
		c.kept[document], _ = io.ReadAll(r.Body)
	case http.MethodDelete:
		delete(c.kept, document)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (c *cloud) fail(when func(r *http.Request) (status int, code string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = when
}

func (c *cloud) document(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.kept[name])
}

func (c *cloud) replace(name, old, with string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[name] = []byte(strings.Replace(string(c.kept[name]), old, with, 1))
}

// in is an S3 client for a region.
func (c *cloud) in(region string) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: region, BaseEndpoint: aws.String(c.Endpoint), UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", ""),
	})
}

func (c *cloud) buckets() []string {
	c.t.Helper()
	out, err := c.Client().ListBuckets(context.Background(), &awss3.ListBucketsInput{})
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, b := range out.Buckets {
		names = append(names, aws.ToString(b.Name))
	}
	slices.Sort(names)
	return names
}

func (c *cloud) iam() *iam.Client {
	return iam.New(iam.Options{Region: c.Region, BaseEndpoint: aws.String(c.Endpoint), Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
}

func (c *cloud) roles() (names []string) {
	c.t.Helper()
	out, err := c.iam().ListRoles(context.Background(), &iam.ListRolesInput{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range out.Roles {
		names = append(names, aws.ToString(r.RoleName))
	}
	return names
}

func inCloud(lines string, more ...string) string {
	return "provider \"pgbackup\" {\n  region = \"us-east-1\"\n  s3_use_path_style = true\n  max_retries = 1\n}\n" +
		"resource \"pgbackup_repository\" \"main\" {\n  s3 = {\n    prefix = \"prod\"\n    " + lines + "\n  }\n  " + strings.Join(more, "\n  ") + "\n}\n"
}

const (
	sourceKey  = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
	replicaKey = "arn:aws:kms:eu-west-1:123456789012:key/66666666-2222-3333-4444-555555555555"
)

func protections(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	p, ok := values["protections"].(map[string]any)
	if !ok {
		t.Fatalf("protections are %v", values["protections"])
	}
	return p
}

func TestAccRepository_aBucketIsMadeProtectedRepairedAndRemoved(t *testing.T) {
	c := newCloud(t)
	before := c.buckets()
	full := inCloud(fmt.Sprintf("bucket = \"made\"\n kms_key_id = %q\n deny_unencrypted = true\n tags = { team = \"dba\" }\n lifecycle = { noncurrent_after = \"30d\" }\n replica = {\n bucket = \"made-dr\"\n region = \"eu-west-1\"\n kms_key_id = %q\n storage_class = \"STANDARD_IA\"\n }", sourceKey, replicaKey))
	w := c.workspace(full)
	if plan := w.Plan(); plan.Failed {
		t.Fatal(plan)
	}
	planned := w.Show(address)
	if planned.After["replica_id"] != "s3://made-dr/prod?path_style=true&region=eu-west-1" || planned.After["bucket_arn"] != "arn:aws:s3:::made" {
		t.Errorf("planned: %v", planned.After)
	}
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}
	empty(t, w)
	if got := protections(t, w.State(address)); got["versioning"] != "enabled" || got["encryption"] != "SSE-KMS with "+sourceKey || got["replication"] != "enabled" || got["replica_encryption"] != "SSE-KMS with "+replicaKey {
		t.Errorf("protections: %v", got)
	}
	theirs := `{"Sid":"Theirs",  "Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"s3:GetObject","NotResource":"arn:aws:s3:::made/x"}`
	s3, name := c.Client(), aws.String("made")
	ctx := t.Context()
	for what, change := range map[string]func() error{
		"versioning": func() error {
			_, err := s3.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
			return err
		},
		"encryption": func() error {
			_, err := s3.DeleteBucketEncryption(ctx, &awss3.DeleteBucketEncryptionInput{Bucket: name})
			return err
		},
		"public_access": func() error {
			_, err := s3.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{Bucket: name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)}})
			return err
		},
		"ownership": func() error {
			_, err := s3.DeleteBucketOwnershipControls(ctx, &awss3.DeleteBucketOwnershipControlsInput{Bucket: name})
			return err
		},
		"transport": func() error {
			c.replace("policy made", c.document("policy made"), `{"Version":"2012-10-17","Statement":[`+theirs+`]}`)
			return nil
		},
		"replica_versioning": func() error {
			_, err := c.in("eu-west-1").PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: aws.String("made-dr"), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
			return err
		},
		"replication_role": func() error {
			_, err := c.iam().DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String(c.roles()[0]), PolicyName: aws.String("pgbackup")})
			return err
		},
		"replication": func() error {
			c.replace("replication made", "</Filter><Status>Enabled", "</Filter><Status>Disabled")
			return nil
		},
	} {
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if _, err := s3.PutBucketTagging(ctx, &awss3.PutBucketTaggingInput{Bucket: name, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("theirs"), Value: aws.String("1")}, {Key: aws.String("pgbackup:made-by"), Value: aws.String("terraform")}}}}); err != nil {
		t.Fatal(err)
	}
	plan := w.Plan()
	show := w.Show(address)
	was, is := protections(t, show.Before), protections(t, show.After)
	for _, name := range []string{"versioning", "encryption", "public_access", "ownership", "transport", "other_encryption", "replica_versioning", "replication", "replication_role"} {
		if was[name] == is[name] {
			t.Errorf("%s is %v before and after", name, was[name])
		}
	}
	if !strings.Contains(plan.String(), "somebody changed what protects its bucket") {
		t.Error(plan)
	}
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}
	empty(t, w)
	if p := c.document("policy made"); !strings.Contains(p, theirs) || !strings.Contains(p, "PgbackupTLSOnly") {
		t.Errorf("the policy is %s", p)
	}
	tags, err := s3.GetBucketTagging(ctx, &awss3.GetBucketTaggingInput{Bucket: name})
	if err != nil || len(tags.TagSet) != 6 {
		t.Errorf("%v, %v", tags, err)
	}
	importsAs(t, w, full, "s3://made/prod?path_style=true&region=us-east-1")
	w.MustApply("-destroy")
	if got := c.buckets(); !slices.Equal(got, before) {
		t.Errorf("after destroy there are the buckets %v", got)
	}
	if got := c.roles(); len(got) != 0 {
		t.Errorf("after destroy there are the roles %v", got)
	}
}

// importsAs imports the repository into an empty state and expects that all but the
// tags are found.
func importsAs(t *testing.T, w *providertest.Workspace, config, id string) {
	t.Helper()
	w.Command("state", "rm", address)
	w.Configure(strings.Replace(config, "tags = { team = \"dba\" }", "", 1))
	w.Command("import", address, id)
	if plan := w.Plan(); plan.Failed {
		t.Fatal(plan)
	}
	p := w.Show(address)
	for name, value := range p.After {
		if fmt.Sprint(value) != fmt.Sprint(p.Before[name]) {
			t.Errorf("after the import %s is %v and should be %v", name, p.Before[name], value)
		}
	}
}

func empty(t *testing.T, w *providertest.Workspace) {
	t.Helper()
	plan := w.Plan()
	if p := w.Show(address); plan.Failed || !slices.Equal(p.Actions, []string{"no-op"}) {
		t.Fatalf("the plan is not empty: %v\n%v\n%v\n%s", p.Actions, p.Before, p.After, plan)
	}
}
