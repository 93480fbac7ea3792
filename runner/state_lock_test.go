package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestALockThatSomebodyElseTookMeanwhileIsLeftToThem(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	o, err := versions.Open(t.Context(), versions.Options{
		Bucket: srv.Bucket, Key: "k", Region: srv.Region, Endpoint: srv.Endpoint,
		AWS: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	a := &app{streams: streams{out: &bytes.Buffer{}, err: &told}, now: testClock}
	if err := a.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock := o.Beside(".tflock")

	unlock, err := a.lockState(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.lockState(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is locked by ") {
		t.Errorf("taken twice: %v", err)
	}
	unlock()
	if _, _, err := lock.Read(t.Context(), "", maxLock); !errors.Is(err, objstore.ErrNotFound) || told.Len() > 0 {
		t.Errorf("given back: %v, %s", err, &told)
	}

	unlock, err = a.lockState(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Remove(t.Context()); err != nil { // terraform force-unlock
		t.Fatal(err)
	}
	const theirs = `{"ID":"11111111-2222","Who":"alice@laptop","Operation":"OperationTypeApply"}`
	if err := lock.Create(t.Context(), []byte(theirs)); err != nil {
		t.Fatal(err)
	}
	unlock()
	if data, _, err := lock.Read(t.Context(), "", maxLock); err != nil || string(data) != theirs {
		t.Errorf("their lock is %q, %v", data, err)
	}
	if !strings.Contains(told.String(), "held by alice@laptop") {
		t.Errorf("said: %s", &told)
	}

	told.Reset()
	if err := lock.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	unlock()
	if !strings.Contains(told.String(), "somebody removed it meanwhile") {
		t.Errorf("said: %s", &told)
	}
}
