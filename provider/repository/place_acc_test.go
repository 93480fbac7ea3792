package repository_test

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func (c *cloud) put(client *awss3.Client, bucket, key, body string) {
	c.t.Helper()
	if _, err := client.PutObject(c.t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) keys(client *awss3.Client, bucket string) (keys []string) {
	c.t.Helper()
	out, err := client.ListObjectsV2(c.t.Context(), &awss3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range out.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

func TestAccRepository_whatOthersHaveInTheBucketIsNeitherMixedWithNorDeleted(t *testing.T) {
	c := newCloud(t)
	theirs := []string{"audit/2025/x", "jobs/etl/y", "keys/tls.pem", "locks/x", "policies/x", "runner/z"}
	for _, key := range theirs {
		c.put(c.Client(), c.Bucket, key, "theirs")
	}
	config := func(prefix string) string {
		return strings.Replace(inCloud(fmt.Sprintf("bucket = %q\n create_bucket = false", c.Bucket)), `prefix = "prod"`, prefix, 1)
	}
	w := providertest.NewWorkspace(t, config(""))
	wants(t, w.Apply(), true, "the place is not free", "is not pgbackup's; choose a prefix or directory of its own")
	if keys := c.keys(c.Client(), c.Bucket); !slices.Equal(keys, theirs) {
		t.Errorf("an apply that was refused left %q", keys)
	}
	w.Configure(config(`prefix = "prod"`))
	w.MustApply()
	inside := providertest.NewWorkspace(t, config(`prefix = "prod/points"`))
	wants(t, inside.Apply(), true, "lies inside the repository at s3://"+c.Bucket+"/prod")
	for _, key := range theirs {
		c.put(c.Client(), c.Bucket, "prod/"+key, "theirs")
	}
	wants(t, w.Apply("-destroy"), false, "6 objects in its folders are not pgbackup's, and stay", "jobs/etl/y")
	want := slices.Clone(theirs)
	for _, key := range theirs {
		want = append(want, "prod/"+key)
	}
	slices.Sort(want)
	if keys := c.keys(c.Client(), c.Bucket); !slices.Equal(keys, want) {
		t.Errorf("left are %q", keys)
	}
}

func TestAccRepository_aDirectoryInsideARepositoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := providertest.NewWorkspace(t, providertest.Repository(dir))
	w.MustApply()
	inside := providertest.NewWorkspace(t, providertest.Repository(filepath.Join(dir, "wal")))
	wants(t, inside.Apply(), true, "lies inside the repository at file://"+dir)
}

// replicated is a repository at src-<n>/prod that is copied into one bucket for all.
func replicated(n int, more ...string) string {
	return fmt.Sprintf("resource \"pgbackup_repository\" \"r%d\" {\n  s3 = {\n    bucket = \"src-%d\"\n    prefix = \"prod\"\n    replica = {\n bucket = \"dr-shared\"\n region = \"eu-west-1\"\n }\n  }\n  %s\n}\n", n, n, strings.Join(more, "\n"))
}

func TestAccRepository_theCopiesOfTwoRepositoriesNeverShareAPlace(t *testing.T) {
	c := newCloud(t)
	provider := strings.SplitAfterN(inCloud(""), "}\n", 2)[0]
	w := providertest.NewWorkspace(t, provider+replicated(1))
	w.MustApply()
	dr := c.in("eu-west-1")
	if keys := c.keys(dr, "dr-shared"); !slices.Equal(keys, []string{"prod/replica-of.json"}) {
		t.Errorf("the replica has %q", keys)
	}
	w.Configure(provider + replicated(1) + replicated(2))
	const taken = "s3://dr-shared/prod?path_style=true&region=eu-west-1 has the copies of s3://src-1/prod, and those of s3://src-2/prod would have the same keys"
	wants(t, w.Plan(), true, taken)
	if slices.Contains(c.buckets(), "src-2") {
		t.Error("a bucket was made for what cannot be")
	}
	// S3 copies; the emulator does not.
	copied := func(from string) {
		out, err := c.Client().GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(from), Key: aws.String("prod/repository.json")})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		c.put(dr, "dr-shared", "prod/repository.json", string(body))
	}
	copied("src-1")
	w.Configure(provider + replicated(1, "force_destroy = true"))
	w.MustApply()
	// Another repository's copies have come into the place: none of them goes.
	other := providertest.NewWorkspace(t, strings.Replace(inCloud(`bucket = "other"`), `"main"`, `"other"`, 1))
	other.MustApply()
	copied("other")
	c.put(dr, "dr-shared", "prod/keys/1.json", "theirs")
	before := c.keys(dr, "dr-shared")
	wants(t, w.Apply("-destroy"), false, "what is at s3://dr-shared/prod?path_style=true&region=eu-west-1 stays", "Only what is known to be a copy of this repository is removed")
	if keys := c.keys(dr, "dr-shared"); !slices.Equal(keys, before) {
		t.Errorf("left are %q of %q", keys, before)
	}
}

func TestAccRepository_ofTwoThatClaimAReplicaAtOnceOneGetsIt(t *testing.T) {
	c := newCloud(t)
	provider := strings.SplitAfterN(inCloud(""), "}\n", 2)[0]
	w := providertest.NewWorkspace(t, provider+replicated(1)+replicated(2))
	wants(t, w.Apply(), true, "would have the same keys")
	made := 0
	for _, name := range []string{"src-1", "src-2"} {
		if slices.Contains(c.buckets(), name) && slices.Contains(c.keys(c.Client(), name), "prod/repository.json") {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d repositories were made", made)
	}
}

// S6
func TestAccRepository_aLockWhoseDeclarationWasDeletedIsToldAndDeclaredAgain(t *testing.T) {
	c := newCloud(t)
	w := providertest.NewWorkspace(t, inCloud("bucket = \"locked\"\n object_lock = {\n mode = \"GOVERNANCE\"\n days = 7\n }"))
	w.MustApply()
	key := aws.String("prod/protection/000001.json")
	if _, err := c.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String("locked"), Key: key}); err != nil {
		t.Fatal(err)
	}
	plan := w.Plan()
	wants(t, plan, false, "nothing in it declares its lock any more", "somebody removed the declaration")
	if got := w.Show(address).Actions; !slices.Equal(got, []string{"update"}) {
		t.Errorf("planned %v", got)
	}
	w.MustApply()
	empty(t, w)
	r := providertest.Open(t, "s3://locked/prod?path_style=true&region=us-east-1")
	if p, locked, err := r.Protection(t.Context()); err != nil || !locked || p != (repo.Protection{Mode: "GOVERNANCE", Days: 7}) || r.Undeclared(t.Context()) != nil {
		t.Errorf("%+v %v %v", p, locked, err)
	}
}
