package location

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPlaceHasOneCanonicalForm(t *testing.T) {
	for text, want := range map[string]string{
		"file:///var/backups/pg/":           "file:///var/backups/pg",
		"file:///with%20space":              "file:///with%20space",
		"s3://bucket":                       "s3://bucket",
		"s3://bucket/a/b/?region=eu-west-1": "s3://bucket/a/b?region=eu-west-1",
		"s3://b-1/x?path_style=true&endpoint=http%3A%2F%2F127.0.0.1%3A7070": "s3://b-1/x?endpoint=http%3A%2F%2F127.0.0.1%3A7070&path_style=true",
	} {
		at, err := Parse(text)
		if err != nil || at.String() != want {
			t.Errorf("%s: got %s, %v; want %s", text, at, err, want)
			continue
		}
		again, err := Parse(at.String())
		if err != nil || again != at {
			t.Errorf("%s does not survive being written: %+v, %v", text, again, err)
		}
	}
}

func TestASlipIsAnsweredWithTheFormItShouldHave(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"/var/backups":                       "file:///var/backups",
		"backups":                            "file://" + filepath.Join(here, "backups"),
		"./backups":                          "file://" + filepath.Join(here, "backups"),
		"file:backups":                       "file://" + filepath.Join(here, "backups"),
		"file://./backups":                   "file://" + filepath.Join(here, "backups"),
		"file://backups/pg":                  "file:///backups/pg",
		"s3:/bucket/prefix":                  "s3://bucket/prefix",
		"s3:bucket/prefix":                   "s3://bucket/prefix",
		"https://minio.example.org/bucket/p": "s3://bucket/p?endpoint=https%3A%2F%2Fminio.example.org&path_style=true",
		"s3://bucket/p?regoin=x":             `did you mean "region"`,
		"s4://bucket":                        "valid are file, s3",
		"s3://":                              "bucket",
		"s3://Bucket_Name":                   "bucket",
		"":                                   "file:///directory or s3://bucket/prefix",
		"s3://key:secret@bucket":             "credentials",
		"s3://bucket#policy":                 "#",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q in it", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("%q: the error repeats a secret: %v", text, err)
		}
	}
}

func TestAPolicyIDIsARepositoryAndAName(t *testing.T) {
	id, err := ParsePolicyID("s3://bucket/p/?region=eu-west-1#prod")
	if err != nil || id.Name != "prod" || id.Repository.Bucket != "bucket" || id.String() != "s3://bucket/p?region=eu-west-1#prod" {
		t.Errorf("got %+v, %v", id, err)
	}
	if _, err := ParsePolicyID("file:///backups"); !errors.Is(err, ErrNoPolicy) {
		t.Errorf("without a name: %v", err)
	}
	if _, err := ParsePolicyID("file:///backups#Not A Name"); err == nil {
		t.Error("a name that no policy can have was taken")
	}
	if _, err := ParsePolicyID("backups#prod"); err == nil {
		t.Error("a repository that is none was taken")
	}
}
