package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/statefile"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func testClock() time.Time { return time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC) }

// wayBack is from a state with two resources to one with another.
func wayBack(t *testing.T, o *versions.Object) *stateReturn {
	t.Helper()
	parse := func(text string) statefile.State {
		s, err := statefile.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const policyOf = `{"mode":"managed","type":"pgbackup_policy","name":"prod","instances":[{"attributes":{"id":"x#prod","name":"prod","retention":{"value":{"keep_daily":%}}}}]}`
	return &stateReturn{
		object: o, newest: &versions.Version{}, wanted: versions.Version{ID: "v1", Modified: testClock()},
		state: parse(`{"version":4,"serial":3,"lineage":"x","resources":[` + strings.Replace(policyOf, "%", "30", 1) +
			`,{"mode":"managed","type":"aws_db_instance","name":"old","instances":[{"attributes":{"password":"hunter2"}}]}]}`),
		current: parse(`{"version":4,"serial":5,"lineage":"x","resources":[` + strings.Replace(policyOf, "%", "14", 1) +
			`,{"mode":"managed","type":"aws_db_instance","name":"new","instances":[{"attributes":{"password":"hunter2"}}]}]}`),
	}
}

func TestAPersonIsShownWhatIsUndoneAndAsked(t *testing.T) {
	t.Parallel()
	o, err := versions.Open(t.Context(), versions.Options{Bucket: "b", Key: "k", Region: "us-east-1", AWS: &aws.Config{}})
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]bool{"yes\n": true, "y\n": false, "": false, "no\n": false} {
		var out bytes.Buffer
		a := &app{streams: streams{in: strings.NewReader(answer), out: &out}}
		if err := a.askRestore(t.Context(), wayBack(t, o)); (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
		for _, text := range []string{
			"Going back from serial 5 to serial 3 (written 2026-03-01 02:00:00Z) of s3://b/k:",
			"  pgbackup_policy.prod: daily points: 14 -> 30\n",
			"  aws_db_instance.old: known to the state again",
			"  aws_db_instance.new: forgotten by the state",
			"DynamoDB",
		} {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%q is not said:\n%s", text, out.String())
			}
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Error("a secret of the state is printed")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &app{streams: streams{in: blocked{}, out: &bytes.Buffer{}}}
	if err := a.askRestore(ctx, wayBack(t, o)); !errors.Is(err, context.Canceled) {
		t.Errorf("Ctrl-C at the question: %v", err)
	}
}

// blocked is a terminal at which nobody types.
type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

func TestManyResourcesAreNotAllNamed(t *testing.T) {
	t.Parallel()
	back := &stateReturn{newest: &versions.Version{}, current: statefile.State{Resources: map[string][32]byte{}}}
	for i := range 50 {
		back.current.Resources["null_resource.x["+string(rune('a'+i))+"]"] = [32]byte{}
	}
	if lines := back.undone(); len(lines) != 21 || lines[20] != "and 30 more: forgotten by the state, though it is there: Terraform would make it again" {
		t.Errorf("%q", lines)
	}
}

func TestAStateThatSomebodyWroteMeanwhileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t, testenv.S3Versioned())
	put := func(text string) {
		if _, err := srv.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &srv.Bucket, Key: aws.String("k"), Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	o, err := versions.Open(t.Context(), versions.Options{
		Bucket: srv.Bucket, Key: "k", Region: srv.Region, Endpoint: srv.Endpoint,
		AWS: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	put(`{"version":4,"serial":1,"lineage":"x"}`)
	put(`{"version":4,"serial":2,"lineage":"x"}`)
	list, err := o.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	back, err := findReturn(t.Context(), o, restoreStateFlags{version: list[1].ID, currentSerial: -1})
	if err != nil || back.current.Serial != 2 || back.state.Serial != 1 {
		t.Fatalf("%+v, %v", back, err)
	}
	put(`{"version":4,"serial":3,"lineage":"x"}`)
	if _, err := back.write(t.Context(), back.data); !errors.Is(err, objstore.ErrPrecondition) || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("%v", err)
	}
	if data, _, err := o.Read(t.Context(), "", 100); err != nil || !strings.Contains(string(data), `"serial":3`) {
		t.Errorf("%s, %v", data, err)
	}

	// A deleted file is gone back from as well: what was newest is what counts.
	if err := o.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	back, err = findReturn(t.Context(), o, restoreStateFlags{version: list[1].ID, currentSerial: 3})
	if err != nil || back.newest != nil || back.current.Serial != 3 {
		t.Fatalf("%+v, %v", back, err)
	}
	if !slices.Contains(back.undone(), "the state file is deleted: it comes back") {
		t.Errorf("%q", back.undone())
	}
	// This server takes nothing conditionally over a deletion and says so, AWS does.
	if _, err := back.write(t.Context(), back.data); err != nil && !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
